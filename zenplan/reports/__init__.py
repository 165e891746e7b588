"""What each command answers, as tables for people and a document for programs; and the formats."""
