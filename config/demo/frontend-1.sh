#!/bin/sh
# page BACKEND FILE: what the customer sees.
echo "Total: $("$1" "$2") EUR"
