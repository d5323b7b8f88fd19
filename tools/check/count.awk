# Reads Meson's testlog.txt; prints "PASSED FAILED SKIPPED" in single cmocka tests, then the names of
# the programs that failed. A program without cmocka's lines counts as one test; what a crash left
# unsaid counts as failed.
function finish(    failed, good) {
    if (name == "")
        return
    good = (result == "exit status 0")
    if (planned == 0) {
        planned = 1
        if (result == "exit status 77")
            skips = good = 1
        else
            ok = good
    }
    failed = planned - ok - skips
    if (!good && failed == 0)
        failed = 1
    total_ok += ok
    total_failed += failed
    total_skipped += skips
    if (failed > 0)
        names = names " " name
    name = ""
}
/^=+ +[0-9]+\/[0-9]+ +=+$/ { finish(); planned = ok = skips = 0; next }
/^test: / && name == "" { name = $NF; next }
/^result: / { sub(/^result: +/, ""); result = $0; next }
/^\[=+\] Running [0-9]+ test/ { planned += $3; next }
/^\[       OK \]/ { ok++; next }
/^\[  SKIPPED \] [0-9]+ test\(s\), listed below/ { skips += $4 }
END { finish(); print total_ok + 0, total_failed + 0, total_skipped + 0; print names }
