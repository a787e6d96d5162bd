"""Put a key into the memcached at the host given and get it back; try for two minutes."""

import socket
import sys
import time

VALUE = b"put by helm test"
deadline = time.monotonic() + 120
while True:
    try:
        with socket.create_connection((sys.argv[1], 11211), timeout=5) as connection:
            stream = connection.makefile("rwb")
            stream.write(b"set helm-test 0 60 %d\r\n%b\r\nget helm-test\r\n" % (len(VALUE), VALUE))
            stream.flush()
            answer = [stream.readline() for _ in range(4)]
        expected = [b"STORED\r\n", b"VALUE helm-test 0 %d\r\n" % len(VALUE), VALUE + b"\r\n", b"END\r\n"]
        if answer == expected:
            sys.stdout.write(f"{sys.argv[1]} keeps what it is given\n")
            sys.exit(0)
        problem = f"unexpected answer {answer}"
    except OSError as error:
        problem = str(error)
    if time.monotonic() > deadline:
        sys.exit(f"{sys.argv[1]}: {problem}")
    sys.stderr.write(f"waiting for {sys.argv[1]}: {problem}\n")
    time.sleep(1)
