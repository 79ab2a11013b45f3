# SPDX-License-Identifier: Apache-2.0
# Tiny guests: build/guest/NAME from tests/guest/NAME.c, and the benchmarks'
# programs.  Included by the top Makefile.

G	:= tests/guest
GUEST_NAMES := $(filter-out guest irq driver,$(patsubst $(G)/%.c,%,$(wildcard $(G)/*.c)))
GUESTS_64 := barrage boot-linux widths ring3 unemulated
GUESTS_32 := $(filter-out $(GUESTS_64),$(GUEST_NAMES))
GUESTS	:= $(addprefix $(B)/guest/,$(GUEST_NAMES) boot-bzimage hello-serial)

GUEST_FLAGS := -std=gnu17 -Os $(WARN) -I. -I$(G) -ffreestanding \
	-ffunction-sections -fdata-sections -Wl,--gc-sections -nostdlib \
	-static -fno-stack-protector -mgeneral-regs-only -fcf-protection=none \
	-fno-asynchronous-unwind-tables -fno-strict-aliasing \
	-Wl,--build-id=none -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments
GUEST_32 := $(GUEST_FLAGS) -m32 -march=i686 -fno-pic -no-pie \
	-Wl,-T,$(G)/guest.ld
GUEST_64 := $(GUEST_FLAGS) -m64 -mno-red-zone -fno-pic -no-pie \
	-Wl,-T,$(G)/guest.ld
# The image may be moved: no absolute addresses, no relocations.
GUEST_BZ := $(GUEST_FLAGS) -m64 -mno-red-zone -fPIE -no-pie \
	-fvisibility=hidden -DBZIMAGE -Wl,-T,$(G)/bzimage.ld
VOICE_idle := -DGUEST_SERIAL
ASM_unemulated := $(G)/ring3-asm.S
ASM_barrage := $(G)/ring3-asm.S
GUEST_LIB := $(wildcard $(addprefix $(G)/,guest.c irq.c irq-asm.S driver.c))
GUEST_DEPS := $(GUEST_LIB) boot/layout.h $(G)/guests.mk \
	$(wildcard $(G)/*.ld $(G)/*.S $(G)/*.h)

.PHONY: guests benches
guests: $(GUESTS)

$(GUESTS_32:%=$(B)/guest/%): $(B)/guest/%: $(G)/%.c $(GUEST_DEPS) \
		| $(B)/.pkg-BUILD
	@mkdir -p $(@D)
	$(call say,GUEST   $@)
	$(Q)$(CC) $(GUEST_32) $(VOICE_$*) -o $@ $(G)/start-pvh.S $< $(GUEST_LIB) \
		$(wildcard $(G)/$*-asm.S)

$(GUESTS_64:%=$(B)/guest/%): $(B)/guest/%: $(G)/%.c $(GUEST_DEPS) \
		| $(B)/.pkg-BUILD
	@mkdir -p $(@D)
	$(call say,GUEST   $@)
	$(Q)$(CC) $(GUEST_64) -o $@ $(G)/start-linux.S $< $(G)/guest.c \
		$(wildcard $(G)/$*-asm.S) $(ASM_$*)

$(B)/guest/boot-bzimage: $(G)/boot-linux.c $(GUEST_DEPS) | $(B)/.pkg-BUILD
	@mkdir -p $(@D)
	$(call say,GUEST   $@)
	$(Q)$(CC) $(GUEST_BZ) -o $@ $(G)/start-linux.S $< $(G)/guest.c

# What the benchmarks start: it says one thing on the 16550, which the floor
# and QEMU have too.
$(B)/guest/hello-serial: $(G)/hello.c $(GUEST_DEPS) | $(B)/.pkg-BUILD
	@mkdir -p $(@D)
	$(call say,GUEST   $@)
	$(Q)$(CC) $(GUEST_32) -DGUEST_SERIAL -o $@ $(G)/start-pvh.S $< $(G)/guest.c

benches: $(addprefix $(B)/bench/,floor stopwatch stream tapwrite \
	io-guest)

# The guest that drives devices, for mote and QEMU alike.
IO_GUEST := $(wildcard tests/bench/io-guest/*.c)
$(B)/bench/io-guest: $(IO_GUEST) $(wildcard tests/bench/io-guest/*.[Sh]) \
		$(GUEST_DEPS) | $(B)/.pkg-BUILD
	@mkdir -p $(@D)
	$(call say,GUEST   $@)
	$(Q)$(CC) $(GUEST_64) -O2 -DGUEST_SERIAL -o $@ \
		tests/bench/io-guest/start.S $(IO_GUEST) $(G)/guest.c \
		$(G)/ring3-asm.S

$(B)/bench/%: tests/bench/%.c boot/layout.h | $(B)/.pkg-BUILD
	@mkdir -p $(@D)
	$(call say,CC      $@)
	$(Q)$(CC) $(RELEASE) $(CPPFLAGS) $(CFLAGS) $(HARDEN) $(LDFLAGS) -o $@ $< $(LIBC)
