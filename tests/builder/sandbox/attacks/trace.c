/* Take hold of a process outside, and of the one that started this container. Fails when that succeeds. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

int main(int count, char **arguments) {
    pid_t targets[] = {atoi(arguments[1]), 0, -1};
    char there[16];
    for (int i = 0; i < 3; i++) {
        pid_t target = targets[i];
        if (ptrace(PTRACE_ATTACH, target, 0, 0) == 0) {
            printf("traced %d\n", target);
            return 1;
        }
        struct iovec here = {there, sizeof there}, far = {(void *)0x400000, sizeof there};
        if (process_vm_readv(target, &here, 1, &far, 1, 0) > 0) {
            printf("read %d\n", target);
            return 1;
        }
        if (target > 0 && (kill(target, 0) == 0 || syscall(SYS_pidfd_open, target, 0) >= 0)) {
            printf("found %d\n", target);
            return 1;
        }
    }
    return 0;
}
