/* Calls that only privileged processes may make. Fails when one succeeds. */
#define _GNU_SOURCE
#include <grp.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fault;

static void refused(const char *what, long result) {
    if (result == 0) {
        printf("%s was allowed\n", what);
        fault = 1;
    }
}

int main(void) {
    gid_t groups[1] = {0};
    refused("setuid", setuid(0));
    refused("setgid", setgid(0));
    refused("setgroups", setgroups(1, groups));
    refused("mount", mount("none", "/tmp", "tmpfs", 0, ""));
    refused("pivot_root", syscall(SYS_pivot_root, "/build", "/build"));
    refused("sethostname", sethostname("evil", 4));
    refused("init_module", syscall(SYS_init_module, "", 0, ""));
    refused("settime", syscall(SYS_settimeofday, (long[]){0, 0}, 0));
    refused("iopl", syscall(SYS_iopl, 3));
    refused("bpf", syscall(SYS_bpf, 0, 0, 0) < 0 ? -1 : 0);
    refused("kexec", syscall(SYS_kexec_load, 0, 0, 0, 0));
    /* The machine that this one is a virtual machine of, which is in no network namespace. */
    refused("vsock", socket(AF_VSOCK, SOCK_STREAM, 0) < 0 ? -1 : 0);
    return fault;
}
