<x/text.txt>
