# mote: `make demo` shows it, `make check` tests it; `make help` lists the rest.
#
# Every target installs the Debian packages that it needs (root only; otherwise
# it names them).  All output is under build/.

B	:= build
Q	:= $(if $(V),,@)
say	= $(if $(V),,@echo '  $(1)')
CC	:= gcc
CLANG	:= clang
VERSION	:= 0.1.0

WARN	:= -Wall -Wextra -Werror -Wshadow -Wpointer-arith -Wcast-qual \
	   -Wstrict-prototypes -Wmissing-prototypes -Wimplicit-fallthrough \
	   -Wvla -Wformat=2 -Wwrite-strings -Wundef
CPPFLAGS := -D_GNU_SOURCE -I. -DMOTE_VERSION='"$(VERSION)"'
CFLAGS	:= -std=gnu17 -O2 -g $(WARN)
# The binary's C library is musl: a quarter of the size that it has with glibc,
# and no locales, name services or plug-ins below the seccomp filters.  Its
# headers come before the system's, which still give the kernel's and jansson's.
# Tests, sanitizers and fuzzers use glibc.
MUSL	:= /usr/lib/x86_64-linux-musl
RELEASE	:= -isystem /usr/include/x86_64-linux-musl
HARDEN	:= -fstack-protector-strong -fPIE \
	   -fstack-clash-protection -fcf-protection -fvisibility=hidden \
	   -fno-strict-aliasing -ffunction-sections -fdata-sections \
	   $(if $(findstring clang,$(CC)),,-ftrivial-auto-var-init=zero)
LDFLAGS	:= -static-pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code \
	   -Wl,--gc-sections -Wl,--fatal-warnings -nostdlib $(MUSL)/rcrt1.o
LDLIBS	:= -ljansson -l:liburing.a
LIBC	:= $(MUSL)/libc.a -lgcc
SAN	:= -fsanitize=address,undefined -fno-sanitize-recover=all \
	   -fno-omit-frame-pointer -O1 -g -DMOTE_SANITIZED

PKG_BUILD := gcc libc6-dev libjansson-dev libseccomp-dev liburing-dev \
	     musl-dev
PKG_LINUX := qemu-system-x86 busybox-static lz4 e2fsprogs fio binutils python3
PKG_BENCH := python3
PKG_CHECK := check clang libclang-rt-14-dev clang-format clang-tidy cppcheck \
	     acpica-tools python3 universal-ctags man-db git passt nbdkit curl
# All at once, so that one message names them all.
PKG_DEMO := $(PKG_BUILD) $(PKG_LINUX)
PKG_ALL	:= $(sort $(PKG_DEMO) $(PKG_CHECK))

FLOORS	:= base virtio boot seccomp vmm
FILTERS	:= $(B)/gen/seccomp_filters.c
SRC	:= $(wildcard $(FLOORS:=/*.c)) $(FILTERS)
LIBSRC	:= $(filter-out vmm/main.c,$(SRC))
ALLC	:= $(filter-out $(FILTERS),$(SRC)) $(wildcard $(FLOORS:=/*.h) \
	   seccomp/generate/*.c tests/unit/*.[ch] tests/fuzz/*.[ch] \
	   tests/bench/*.c tests/bench/io-guest/*.[ch] tests/guest/*.c \
	   tests/linux/*.c tests/counting/*.[ch] tests/sandbox/*.c)
UNIT	:= $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
UNIT	+= $(B)/unit/test_second_reads
UNITLIB	:= $(filter-out tests/unit/test_%,$(wildcard tests/unit/*.c))
FUZZ	:= $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))

all: $(B)/mote
.PHONY: all check demo clean help fuzz bench format install guests clang-build \
	guest-kernel hostile
.DELETE_ON_ERROR:
.SECONDARY:

# build/.pkg-NAME: the packages in PKG_NAME are installed.
$(B)/.pkg-%: Makefile
	@mkdir -p $(B)
	@tests/packages $(PKG_$*)
	@touch $@

$(B)/obj/%.o: %.c | $(B)/.pkg-BUILD
	@mkdir -p $(@D)
	$(call say,CC      $@)
	$(Q)$(CC) $(RELEASE) $(CPPFLAGS) $(CFLAGS) $(HARDEN) -MMD -MP -c -o $@ $<

$(B)/mote: $(SRC:%.c=$(B)/obj/%.o)
	$(call say,LINK    $@)
	$(Q)$(CC) $(CFLAGS) $(HARDEN) $(LDFLAGS) -o $@ $^ $(LDLIBS) $(LIBC)

# The seccomp filters: a program that runs here makes them out of the tables.
$(B)/gen/generate: seccomp/generate/main.c seccomp/rules.c seccomp/rules.h \
		base/fd.h | $(B)/.pkg-BUILD
	@mkdir -p $(@D)
	$(call say,HOSTCC  $@)
	$(Q)gcc $(CPPFLAGS) $(CFLAGS) -o $@ $(filter %.c,$^) -lseccomp

$(FILTERS): $(B)/gen/generate
	$(call say,GEN     $@)
	$(Q)$< >$@

# The same sources under ASan and UBSan, for unit tests.
$(B)/san/%.o: %.c | $(B)/.pkg-BUILD $(B)/.pkg-CHECK
	@mkdir -p $(@D)
	$(call say,CC      $@)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(SAN) -MMD -MP -c -o $@ $<

$(B)/san/libmote.a: $(LIBSRC:%.c=$(B)/san/%.o)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(B)/unit/%: $(B)/san/tests/unit/%.o $(UNITLIB:%.c=$(B)/san/%.o) \
		$(B)/san/libmote.a
	@mkdir -p $(@D)
	$(call say,LINK    $@)
	$(Q)$(CC) $(SAN) -o $@ $^ -lcheck -lsubunit -lm -lrt -lpthread $(LDLIBS)

# The counting build: each load of the monitor's sources calls tests/counting/
# reads.c, which takes the place of the sanitizer's library.
COUNTED	:= memcpy memmove memcmp memchr write pwrite send writev pwritev sendmsg
$(B)/count/%.o: %.c | $(B)/.pkg-BUILD $(B)/.pkg-CHECK
	@mkdir -p $(@D)
	$(call say,CLANG   $@)
	$(Q)$(CLANG) $(CPPFLAGS) $(CFLAGS) -fno-builtin-memcmp \
		$(if $(findstring /reads.o,$@),,-fsanitize=thread) \
		-MMD -MP -c -o $@ $<

$(B)/unit/test_second_reads: \
		$(patsubst %.c,$(B)/count/%.o,$(filter base/% virtio/%,$(SRC))) \
		$(addprefix $(B)/count/tests/,unit/fake_driver.o counting/reads.o \
		counting/test_second_reads.o)
	@mkdir -p $(@D)
	$(call say,LINK    $@)
	$(Q)$(CLANG) $(COUNTED:%=-Wl,--wrap=%) -o $@ $^ -lcheck -lsubunit -lm \
		-lrt -lpthread $(LDLIBS)

# Fuzz targets: clang, libFuzzer.
$(B)/fz/%.o: %.c | $(B)/.pkg-BUILD $(B)/.pkg-CHECK
	@mkdir -p $(@D)
	$(call say,CLANG   $@)
	$(Q)$(CLANG) $(CPPFLAGS) $(CFLAGS) $(SAN) -fsanitize=fuzzer-no-link \
		-MMD -MP -c -o $@ $<

$(B)/fz/libmote.a: $(LIBSRC:%.c=$(B)/fz/%.o) $(UNITLIB:%.c=$(B)/fz/%.o)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(B)/fuzz/%: $(B)/fz/tests/fuzz/%.o $(B)/fz/libmote.a
	@mkdir -p $(@D)
	$(call say,LINK    $@)
	$(Q)$(CLANG) $(SAN) -fsanitize=fuzzer -o $@ $^ -lpthread $(LDLIBS)

# The binary once more by clang, for its warnings.
$(B)/clang/%.o: %.c | $(B)/.pkg-BUILD $(B)/.pkg-CHECK
	@mkdir -p $(@D)
	$(call say,CLANG   $@)
	$(Q)$(CLANG) $(RELEASE) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

clang-build: $(SRC:%.c=$(B)/clang/%.o)

# Each filter on a real thread: the release's objects, and a program for them.
$(B)/sandbox/trial: $(B)/obj/tests/sandbox/trial.o \
		$(filter $(B)/obj/seccomp/%,$(SRC:%.c=$(B)/obj/%.o)) \
		$(FILTERS:%.c=$(B)/obj/%.o) $(B)/obj/base/log.o $(B)/obj/base/fd.o
	@mkdir -p $(@D)
	$(call say,LINK    $@)
	$(Q)$(CC) $(CFLAGS) $(HARDEN) $(LDFLAGS) -o $@ $^ $(LIBC)

include tests/guest/guests.mk

# --- what a user calls ------------------------------------------------------

# Phony, because make leaves what .SECONDARY covers until after what it does not.
.PHONY: needs-DEMO needs-ALL
needs-DEMO needs-ALL: needs-%: $(B)/.pkg-%

demo: needs-DEMO $(B)/mote
	@tests/demo

SUITES ?= unit lint sandbox jail fuzz guest cli api kernels linux
check: needs-ALL $(B)/mote $(B)/sandbox/trial $(UNIT) $(FUZZ) guests
	@tests/run $(SUITES)

# One suite: make check-unit, check-lint, check-linux, ...
check-%:
	@$(MAKE) --no-print-directory check SUITES=$*

FUZZ_SECONDS ?= 600
fuzz: $(FUZZ)
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run fuzz

# The barrage of make check, fifty times as long.
hostile: $(B)/mote guests
	@BARRAGE=1000000 tests/guest/run barrage

bench: bench-start bench-memory bench-boot bench-io bench-lockdown
bench-%: $(B)/mote $(B)/sandbox/trial guests benches | $(B)/.pkg-LINUX \
		$(B)/.pkg-BENCH
	@tests/bench/$*

guest-kernel:
	@tests/linux/build-kernel

format: | $(B)/.pkg-CHECK
	clang-format -i $(ALLC)

install: $(B)/mote
	install -D -m 755 -s $< $(DESTDIR)/usr/local/bin/mote
	install -D -m 644 docs/mote.1 $(DESTDIR)/usr/local/share/man/man1/mote.1

clean:
	rm -rf $(B)

help:
	@echo 'make               build/mote'
	@echo 'make demo          boot a stock Debian kernel and show it'
	@echo 'make check         every test; make check-unit (lint, sandbox,'
	@echo '                   jail, fuzz, guest, cli, api, kernels, linux) runs'
	@echo '                   one suite'
	@echo 'make fuzz          each fuzz target for FUZZ_SECONDS (600)'
	@echo 'make hostile       10^6 hostile operations on each device'
	@echo 'make bench         bench-start, bench-memory, bench-boot, bench-io'
	@echo '                   (which is bench-blk, bench-net, bench-vsock),'
	@echo '                   bench-lockdown'
	@echo 'make guest-kernel  a lean kernel for the shortest boot'
	@echo 'make install       to /usr/local, below DESTDIR'

-include $(shell find $(B)/obj $(B)/san $(B)/count $(B)/fz $(B)/clang \
	-name '*.d' 2>/dev/null)
