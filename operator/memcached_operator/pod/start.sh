# Starts memcached with the arguments that the pod's own annotation names: a crash in the middle of a rollout comes back
# with what this pod had.
set -eu
. /etc/memcached/pod.sh

tries=0
until digest=$(cat $POD/arguments) && words=$(found "$digest"); do
  [ $tries -lt 60 ] || { echo "there is no $CONFIG/arguments-$digest" >&2; exit 1; }
  tries=$((tries + 1))
  sleep 1
done
while IFS= read -r argument || [ -n "$argument" ]; do
  set -- "$@" "$argument"
done <"$words"
[ ! -s $POD/item-memory ] || set -- "$@" "--memory-limit=$(cat $POD/item-memory)"

# The items of the pod before may be in a spare one, which has to know of this one before any client does.
greeting=$CONFIG/handover-${HOSTNAME:-}
if [ -f "$greeting" ] && [ ! -f $STATE/arguments ]; then
  read -r address port word <"$greeting"
  echo "$word" | talk "$address" "$port" >/dev/null 2>&1 || true
fi

# Slab pages are mapped one by one: what a smaller limit frees goes back to the kernel.
export MALLOC_MMAP_THRESHOLD_=524288
mounted >$STATE/loaded
[ "$words" = "$STATE/words" ] || cat "$words" >$STATE/words
echo "$digest" >$STATE/arguments
[ -d $CACHE ] || exec memcached "$@"

# From here on restarts are warm: memcached saves on SIGUSR1 and not on the SIGTERM that the kubelet sends. So this shell
# stays as PID 1 and translates. SIGUSR2 stops memcached and starts it again, without the kubelet, which would make
# somebody wait who changes arguments twice within ten minutes (its back-off).
memcached=
again=
stop() {
  [ -n "$memcached" ] || exit 0
  kill -USR1 $memcached
}
trap stop TERM INT USR1
trap 'again=yes; stop' USR2

saved=$CACHE/items.meta
if [ "$(tail -n 1 $saved 2>/dev/null | cut -d ' ' -f 1)" = Kmmap_oldbase ]; then
  # memcached refuses what was saved within the same second.
  stopped=$(sed -n 's/^Kstop_time //p' $saved)
  tries=0
  while [ "$(date +%s)" -le "$stopped" ] && [ $tries -lt 30 ]; do
    tries=$((tries + 1))
    sleep 0.1 || sleep 1
  done
else  # a crash: what is in the memory file may be torn
  rm -f $saved $CACHE/items
fi

memcached "$@" &
memcached=$!
trap 'kill -HUP $memcached' HUP
code=0
while :; do  # a signal ends `wait`, too
  wait $memcached && code=0 || code=$?
  kill -0 $memcached 2>/dev/null || break
done
[ -z "$again" ] || exec sh $CONFIG/start.sh
exit $code
