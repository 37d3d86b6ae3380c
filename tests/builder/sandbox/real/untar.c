/* Unpacks a tar archive from standard input into the current folder, without its first folder. Files, folders, links. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int main(void) {
    char block[512];
    while (fread(block, 1, 512, stdin) == 512 && block[0]) {
        char name[101] = {0}, target[101] = {0};
        memcpy(name, block, 100);
        memcpy(target, block + 157, 100);
        long mode = strtol(block + 100, 0, 8), size = strtol(block + 124, 0, 8);
        char kind = block[156], *path = strchr(name, '/');
        path = path ? path + 1 : name;
        size_t length = strlen(path);
        if (!length) continue;
        if (kind == '5' || path[length - 1] == '/') {
            mkdir(path, 0755);
        } else if (kind == '2') {
            if (symlink(target, path)) return 1;
        } else if (kind == '0' || kind == 0) {
            for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = 0;
                mkdir(path, 0755);
                *slash = '/';
            }
            FILE *file = fopen(path, "wb");
            if (!file) return 2;
            for (long left = size; left > 0; left -= 512) {
                if (fread(block, 1, 512, stdin) != 512) return 3;
                fwrite(block, 1, left < 512 ? left : 512, file);
            }
            fclose(file);
            chmod(path, mode & 0777);
        } else {
            fprintf(stderr, "%s: a kind of entry that is not known: %c\n", name, kind);
            return 4;
        }
    }
    return 0;
}
