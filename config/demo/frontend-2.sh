#!/bin/sh
# page BACKEND FILE: what the customer sees. One call to the backend, whatever it prints.
total=$("$1" "$2") || exit 1
echo "Total: $total EUR"
