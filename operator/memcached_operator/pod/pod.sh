# What the scripts of a memcached pod share. They run in any POSIX shell (dash, bash, busybox), in pods of every resource:
# whether there are users, certificates or a memory file is seen by what is mounted.

CONFIG=/etc/memcached   # arguments-DIGEST, one word a line, and these scripts
POD=/etc/memcached-pod  # annotations of this pod: arguments (its DIGEST) and item-memory (MiB)
STATE=/run/memcached    # what the running memcached was started with
CACHE=/cache            # the memory file, where memcached's restarts are warm

PATIENCE=2              # seconds that one question may take

talk() {  # sends what comes in to $1, port $2, prints the answer, and ends well when the other side hung up in time
  # busybox's -w is for the connection only, and OpenBSD's ends well: it is longer, so that none looks like hanging up.
  if command -v nc >/dev/null 2>&1; then
    bounded nc -w $((2 * PATIENCE)) "$1" "$2"
  elif command -v bash >/dev/null 2>&1; then
    bounded bash -c "exec 3<>/dev/tcp/$1/$2 && cat >&3 && timeout $PATIENCE cat <&3"
  else
    echo "the image has neither nc nor bash: set spec.probes.type to tcp"
  fi
}

bounded() {  # what outlives a probe keeps the kubelet from ever hearing how the probe ended
  if command -v timeout >/dev/null 2>&1; then timeout $PATIENCE "$@"; else "$@"; fi
}

found() {  # prints which file has the arguments with the digest $1: the ConfigMap may have lost those that run
  if [ -f "$CONFIG/arguments-$1" ]; then
    echo "$CONFIG/arguments-$1"
  else
    [ -f $STATE/words ] && [ "$1" = "$(cat $STATE/arguments)" ] && echo $STATE/words
  fi
}

mounted() {  # a sum over what memcached reads from mounted Secrets
  cat /etc/memcached-tls/tls.crt /etc/memcached-tls/tls.key /etc/memcached-tls/ca.crt /etc/memcached-auth/users \
    2>/dev/null | sha256sum
}
