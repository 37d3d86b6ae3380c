# Tells builds which compiler there is.
export CC=cc CXX=c++
