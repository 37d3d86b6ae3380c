/* Every call that sets a file's mode, past the library; and extended attributes. Fails when one succeeds. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fault;

static void refused(const char *what, long result) {
    if (result >= 0) {
        printf("%s was allowed\n", what);
        fault = 1;
    }
}

#ifdef __x86_64__
/* As a 32-bit program would call. The path must be below 4 GiB: it is copied into a static buffer. */
static char low[256];
static long old_call(long number, long first, long second, long third) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(first), "c"(second), "d"(third) : "memory", "r8", "r9", "r10", "r11");
    return (int)result;
}
#endif

int main(int count, char **arguments) {
    const char *path = arguments[1];
    int file = open(path, O_RDONLY);
    refused("chmod", syscall(SYS_chmod, path, 04755));
    refused("fchmod", syscall(SYS_fchmod, file, 02755));
    refused("fchmodat", syscall(SYS_fchmodat, AT_FDCWD, path, 04755));
    refused("fchmodat2", syscall(452, AT_FDCWD, path, 04755, 0));
    refused("setxattr", syscall(SYS_setxattr, path, "user.x", "y", 1, 0));
    refused("fsetxattr", syscall(SYS_fsetxattr, file, "user.x", "y", 1, 0));
#ifdef __x86_64__
    for (int i = 0; i < 255 && path[i]; i++) low[i] = path[i];
    if ((unsigned long)low < 0x100000000UL) {
        refused("chmod of i386", old_call(15, (long)low, 04755, 0));
        refused("fchmod of i386", old_call(94, file, 04755, 0));
        refused("fchmodat of i386", old_call(306, AT_FDCWD, (long)low, 04755));
        refused("setxattr of i386", old_call(226, (long)low, (long)low, (long)low));
    } else {
        puts("the buffer is too high for a 32-bit call");
        fault = 1;
    }
    refused("chmod of x32", syscall(0x40000000 | SYS_chmod, path, 04755));
#endif
    struct stat status;
    if (stat(path, &status) != 0 || (status.st_mode & 06000)) {
        puts("the file has a set-id bit");
        fault = 1;
    }
    return fault;
}
