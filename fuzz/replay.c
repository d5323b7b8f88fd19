/* main for builds without libFuzzer: runs the target over files and folders of them, in order. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static size_t files;

static void run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    CHECK(file);
    CHECK(fseek(file, 0, SEEK_END) == 0);
    long size = ftell(file);
    CHECK(size >= 0);
    rewind(file);
    /* Exactly its size: a sanitizer sees a byte too far. */
    uint8_t *data = malloc(size > 0 ? (size_t)size : 1);
    CHECK(data);
    CHECK(fread(data, 1, (size_t)size, file) == (size_t)size);
    fclose(file);
    LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    files++;
}

static int no_dots(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void run_folder(const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, no_dots, alphasort);
    CHECK(count >= 0);
    for (int i = 0; i < count; i++) {
        char name[4096];
        CHECK((size_t)snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name) < sizeof name);
        run_file(name);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++) {
        struct stat info;
        CHECK(stat(argv[i], &info) == 0);
        if (S_ISDIR(info.st_mode))
            run_folder(argv[i]);
        else
            run_file(argv[i]);
    }
    printf("%zu inputs\n", files);
    return files > 0 ? 0 : 1; /* an empty corpus tests nothing */
}
