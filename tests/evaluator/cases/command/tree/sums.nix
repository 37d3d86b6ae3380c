{ x ? 1, y ? 2 }: { sum = x + y; list = [ 1 (2 + 3) { a = x; } ]; f = { z }: z; g = a: a; }
