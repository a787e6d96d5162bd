# Ready means that memcached answers its own protocol, not that a port is open, and that it runs with what is mounted now.
# With all connections in use it is ready, too: it serves those, and taking it away would cost them its items.
# With the word "alive" it asks for less: any answer will do, also a refusal, and it may take a while.
. /etc/memcached/pod.sh
[ "${1:-}" != alive ] || PATIENCE=8

started=$(cat $STATE/arguments)
arguments=$(found "$started") || arguments=$CONFIG/arguments-$(cat $POD/arguments)
port=$(sed -n 's/^--port=//p; s/^--listen=notls:127\.0\.0\.1:\([0-9]*\).*/\1/p' "$arguments")

hello() {  # with users, memcached wants a login first
  [ -f /etc/memcached-login/username ] || return 0
  login="$(cat /etc/memcached-login/username) $(cat /etc/memcached-login/password)"
  printf 'set auth 0 0 %d\r\n%s\r\n' "${#login}" "$login"
}

ask() {  # sends the command $1 to memcached, prints the answer
  { hello; printf '%s\r\nquit\r\n' "$1"; } | talk 127.0.0.1 "$port"
}

# A refused login and `quit` in one go: memcached 1.6.45 closes the connection and says nothing, which is an answer, too.
closed=no
answer=$(ask version) && closed=yes
if [ "${1:-}" = alive ]; then
  [ -n "$answer" ] || [ $closed = yes ] || { echo "memcached does not answer" >&2; exit 1; }
  exit 0
fi
answer=$(printf '%s' "$answer" | tr -d '\r')
ready=no
case "$answer" in
  *"VERSION "*) ready=yes version=${answer##*VERSION } ;;
  *"Too many open connections"*) ready=yes version= ;;
  *authenticat*) version= ;;
  *) [ -z "$answer" ] && [ $closed = yes ] || { echo "memcached answered: $answer" >&2; exit 1; }; version= ;;
esac
[ -n "$version" ] || { version=$(memcached --version) && version=${version##* }; }

# Also before the login is taken: it may be one that memcached has yet to read.
# SIGHUP ends a memcached older than 1.6.40, and the cache with it; the command refresh_certs is older than that.
now=$(mounted)
if [ "$now" != "$(cat $STATE/loaded)" ]; then
  case "$version" in
    1.6.[4-9][0-9]*|1.6.[1-9][0-9][0-9]*|1.[7-9]*|1.[1-9][0-9]*|[2-9]*) kill -HUP 1 ;;
    *) ask refresh_certs >/dev/null ;;
  esac
  echo "$now" >$STATE/loaded
fi
[ $ready = yes ] || { echo "memcached does not take the login that is mounted: $answer" >&2; exit 1; }

# Other arguments need a restart, and only where it is warm is one made here; the operator says when, by the annotation.
wanted=$(cat $POD/arguments)
if [ -d $CACHE ] && [ "$wanted" != "$started" ] && [ -f "$CONFIG/arguments-$wanted" ]; then
  kill -USR2 1
  echo "memcached restarts with other arguments"
  exit 1
fi
