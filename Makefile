# mote: `make demo` shows it, `make check` tests it; `make help` lists the rest.
#
# Every target installs the Debian packages that it needs (root only; otherwise
# it names them).  All output is under build/.

B	:= build
CC	:= gcc
CLANG	:= clang
VERSION	:= 0.1.0

WARN	:= -Wall -Wextra -Werror -Wshadow -Wpointer-arith -Wcast-qual \
	   -Wstrict-prototypes -Wmissing-prototypes -Wimplicit-fallthrough \
	   -Wvla -Wformat=2 -Wwrite-strings -Wundef
CPPFLAGS := -D_GNU_SOURCE -I. -DMOTE_VERSION='"$(VERSION)"'
CFLAGS	:= -std=gnu17 -O2 -g $(WARN)
HARDEN	:= -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE \
	   -fstack-clash-protection -fcf-protection -fvisibility=hidden \
	   -ftrivial-auto-var-init=zero -fno-strict-aliasing \
	   -ffunction-sections -fdata-sections
LDFLAGS	:= -static-pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code \
	   -Wl,--gc-sections -Wl,--fatal-warnings
LDLIBS	:= -ljansson
SAN	:= -fsanitize=address,undefined -fno-sanitize-recover=all \
	   -fno-omit-frame-pointer -O1 -g -DMOTE_SANITIZED

PKG_BUILD := gcc libc6-dev libjansson-dev
PKG_CHECK := check clang libclang-rt-14-dev clang-format clang-tidy cppcheck \
	     acpica-tools python3 universal-ctags

FLOORS	:= base virtio boot vmm
SRC	:= $(wildcard $(FLOORS:=/*.c))
LIBSRC	:= $(filter-out vmm/main.c,$(SRC))
ALLC	:= $(SRC) $(wildcard $(FLOORS:=/*.h) tests/unit/*.[ch] tests/fuzz/*.c \
	   tests/bench/*.c tests/guest/*.c tests/linux/*.c)
UNIT	:= $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
UNITLIB	:= $(filter-out tests/unit/test_%,$(wildcard tests/unit/*.c))
FUZZ	:= $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))

all: $(B)/mote
.PHONY: all check demo clean help fuzz format
.DELETE_ON_ERROR:

# $(call packages,NAMES): an order-only stamp that the packages are installed.
$(B)/.pkg-%:
	@mkdir -p $(B)
	@tests/packages $(PKG_$*)
	@touch $@

$(B)/obj/%.o: %.c | $(B)/.pkg-BUILD
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(HARDEN) -MMD -MP -c -o $@ $<

$(B)/mote: $(SRC:%.c=$(B)/obj/%.o)
	$(CC) $(CFLAGS) $(HARDEN) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# The same sources under ASan and UBSan, for unit tests.
$(B)/san/%.o: %.c | $(B)/.pkg-BUILD $(B)/.pkg-CHECK
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(SAN) -MMD -MP -c -o $@ $<

$(B)/san/libmote.a: $(LIBSRC:%.c=$(B)/san/%.o)
	@rm -f $@
	ar rcs $@ $^

$(B)/unit/%: $(B)/san/tests/unit/%.o $(UNITLIB:%.c=$(B)/san/%.o) \
		$(B)/san/libmote.a
	@mkdir -p $(@D)
	$(CC) $(SAN) -o $@ $^ -lcheck -lsubunit -lm -lrt -lpthread $(LDLIBS)

# Fuzz targets: clang, libFuzzer.
$(B)/fz/%.o: %.c | $(B)/.pkg-BUILD $(B)/.pkg-CHECK
	@mkdir -p $(@D)
	$(CLANG) $(CPPFLAGS) $(CFLAGS) $(SAN) -fsanitize=fuzzer-no-link \
		-MMD -MP -c -o $@ $<

$(B)/fz/libmote.a: $(LIBSRC:%.c=$(B)/fz/%.o)
	@rm -f $@
	ar rcs $@ $^

$(B)/fuzz/%: $(B)/fz/tests/fuzz/%.o $(B)/fz/libmote.a
	@mkdir -p $(@D)
	$(CLANG) $(SAN) -fsanitize=fuzzer -o $@ $^ -lpthread $(LDLIBS)

unit: $(UNIT)
	@tests/run unit

clean:
	rm -rf $(B)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
