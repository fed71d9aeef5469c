#!/bin/sh
# total [--count] FILE: sums the orders of FILE ("id;amount" a line). Old orders write 12,50.
if [ "$1" = --count ]; then
    grep -c ';' "$2"
else
    LC_ALL=C awk -F ';' '{gsub(",", ".", $2); sum += $2} END {printf "%.2f\n", sum}' "$1"
fi
