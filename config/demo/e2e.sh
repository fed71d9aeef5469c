#!/bin/sh
# e2e.sh ENVIRONMENT: end-to-end tests. Runs the shop as it is deployed there, over that environment's
# own orders, and compares what a customer would see with what the ledger says.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
place=$here/environments/$1
failed=0

seen=$("$place/frontend/page" "$place/backend/total" "$place/orders.csv") || failed=1
expected="Total: $(cat "$place/ledger") EUR"
if [ "$seen" = "$expected" ]; then
    echo "ok: the page says '$seen'"
else
    echo "FAILED: the page says '$seen', the ledger says '$expected'"
    failed=1
fi

count=$("$place/backend/total" --count "$place/orders.csv") || failed=1
if [ "$count" = "$(wc -l <"$place/orders.csv" | tr -d ' ')" ]; then
    echo "ok: $count orders were counted"
else
    echo "FAILED: $count orders were counted"
    failed=1
fi
exit $failed
