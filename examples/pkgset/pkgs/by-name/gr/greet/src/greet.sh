#!/bin/sh
exec @hello@ --greeting="Hello, @WHO@!"
