{ name }:
"hello " + name
