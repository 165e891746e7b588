// The frontier: the plan that is pointed at, focused or tapped is shown beneath it. Without this script the page is
// the same, but for that.
(function () {
  "use strict";
  const table = document.getElementById("frontier-rows");
  const picked = document.getElementById("picked");
  if (!table || !picked) {
    return;
  }
  const heads = Array.from(table.tHead.rows[0].cells, (cell) => cell.textContent);
  const rows = Array.from(table.tBodies[0].rows, (row) => Array.from(row.cells, (cell) => cell.textContent));
  const list = document.createElement("dl");
  const values = heads.map((head) => {
    const pair = document.createElement("div");
    const name = document.createElement("dt");
    const value = document.createElement("dd");
    name.textContent = head;
    pair.append(name, value);
    list.append(pair);
    return value;
  });
  const hint = document.createElement("p");
  hint.className = "hint";
  hint.textContent = "Point at a mark or tap it; with the keyboard, the arrow keys go from plan to plan.";
  picked.append(list, hint);
  picked.hidden = false;

  const charts = Array.from(document.querySelectorAll("svg.chart"), chartOf);
  let chosen = first();
  choose(chosen);

  function first() {
    const marks = [".point.recommended", ".point.nearest", ".point.named"].map((name) => document.querySelector(name));
    const found = marks.find((mark) => mark);
    return found ? Number(found.dataset.row) : 0;
  }

  function chartOf(svg) {
    const points = [];
    for (const point of svg.querySelectorAll(".point")) {
      points[Number(point.dataset.row)] = point;
    }
    const places = points.map((point) => {
      const ring = point.querySelector(".ring");
      return [Number(ring.getAttribute("cx")), Number(ring.getAttribute("cy"))];
    });
    svg.setAttribute("role", "radiogroup");
    points.forEach((point, row) => {
      point.setAttribute("role", "radio");
      point.setAttribute("aria-label", told(row));
      point.addEventListener("focus", () => choose(row));
    });
    svg.addEventListener("pointermove", (event) => show(nearest(svg, places, event)));
    svg.addEventListener("pointerleave", () => show(chosen));
    svg.addEventListener("click", (event) => choose(nearest(svg, places, event)));
    svg.addEventListener("keydown", (event) => {
      const next = beside(event.key);
      if (next !== null) {
        event.preventDefault();
        choose(next);
        points[next].focus();
      }
    });
    return points;
  }

  function told(row) {
    return rows[row].map((text, index) => heads[index] + ": " + text).join(", ");
  }

  function beside(key) {
    const last = rows.length - 1;
    const to = {
      ArrowRight: chosen + 1, ArrowDown: chosen + 1, ArrowLeft: chosen - 1, ArrowUp: chosen - 1, Home: 0, End: last,
    }[key];
    return to === undefined ? null : Math.min(Math.max(to, 0), last);
  }

  function nearest(svg, places, event) {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const away = ([x, y]) => (x - at.x) ** 2 + (y - at.y) ** 2;
    return places.reduce((best, place, row) => (away(place) < away(places[best]) ? row : best), 0);
  }

  // What is shown: one is pointed at, and goes back to the chosen one when the pointer leaves.
  function show(row) {
    for (const points of charts) {
      points.forEach((point, index) => point.classList.toggle("shown", index === row));
    }
    rows[row].forEach((text, index) => {
      values[index].textContent = text || "\u2013";
    });
  }

  function choose(row) {
    chosen = row;
    for (const points of charts) {
      points.forEach((point, index) => {
        point.setAttribute("aria-checked", String(index === row));
        point.setAttribute("tabindex", index === row ? "0" : "-1");
      });
    }
    show(row);
  }
})();
