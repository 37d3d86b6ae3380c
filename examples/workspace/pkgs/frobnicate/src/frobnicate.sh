#!/bin/sh
echo "turned to ${1:-11}"
