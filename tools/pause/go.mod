module github.com/memcached-operator/tools/pause

go 1.24.0
