#!/usr/bin/env bash
# Starts the ranks of this node, one for each device, and ends them all where one ends badly.
#
#   bash node.sh NODES RANKS SECONDS COMMAND [ARGUMENT ...]
#
# NODE_RANK, MASTER_ADDR and MASTER_PORT come from whoever calls it. After SECONDS the ranks are told to end. Its exit code
# is that of the first rank that ended badly; it goes into the file ENDED, where that is set, but for those of AGAIN, as in
# "75 143": a second start may change them.
set -u
nodes=$1 ranks=$2 most_s=$3
shift 3
: "${NODE_RANK:?}" "${MASTER_ADDR:?}" "${MASTER_PORT:?}"
export MASTER_ADDR MASTER_PORT WORLD_SIZE=$((nodes * ranks))
code=0 ended_s='' left=()

# Once alone: a second SIGTERM would end a rank without its checkpoint.
end() {
  [ -z "$ended_s" ] || return 0
  ended_s=$SECONDS
  [ ${#left[@]} -eq 0 ] || kill -TERM "${left[@]}" 2>/dev/null
}
trap end TERM INT

for ((local_rank = 0; local_rank < ranks; local_rank++)); do
  # In a session of its own: a signal to this whole group would be a second one.
  LOCAL_RANK=$local_rank RANK=$((NODE_RANK * ranks + local_rank)) setsid "$@" &
  left+=($!)
done
while [ ${#left[@]} -gt 0 ]; do
  alive=()
  for pid in "${left[@]}"; do
    if kill -0 "$pid" 2>/dev/null; then
      alive+=("$pid")
      continue
    fi
    wait "$pid"
    one=$?
    [ "$code" -ne 0 ] || code=$one
  done
  left=(${alive[@]+"${alive[@]}"})
  if [ "$code" -ne 0 ] || [ "$SECONDS" -ge "$most_s" ]; then end; fi
  [ ${#left[@]} -gt 0 ] || break
  # A rank that waits for one that is gone may not hear a signal.
  if [ -n "$ended_s" ] && [ $((SECONDS - ended_s)) -ge 120 ]; then kill -KILL "${left[@]}" 2>/dev/null; fi
  sleep 0.5
done
if [ "$code" -ne 0 ] && [ -n "${ENDED:-}" ] && [[ " ${AGAIN:-} " != *" $code "* ]]; then echo "$code" >"$ENDED"; fi
exit "$code"
