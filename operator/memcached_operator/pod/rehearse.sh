# Tries an image and arguments in a pod of their own, before they meet items. Ends well once memcached answered, and
# leaves its version as the termination message.
. /etc/memcached/pod.sh

sh $CONFIG/start.sh &
memcached=$!
tries=0
until sh $CONFIG/probe.sh 2>/dev/null; do
  kill -0 $memcached 2>/dev/null || exit 1
  [ $tries -lt 120 ] || { echo "memcached does not answer" >&2; exit 1; }
  tries=$((tries + 1))
  sleep 0.5
done
memcached --version >/dev/termination-log
kill -TERM $memcached
