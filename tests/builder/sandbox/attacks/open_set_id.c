/* A file made with the bit, rather than given it later. */
#include <fcntl.h>
#include <sys/stat.h>

int main(int count, char **arguments) {
    umask(0);
    return open(arguments[1], O_CREAT | O_WRONLY, 04755) < 0;
}
