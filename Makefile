# SPDX-License-Identifier: GPL-2.0-or-later
# make [MODE=release|debug|asan|tsan|coverage]; make demo, test, unit, e2e, fuzz, bench, install, deps
MODE ?= release
PREFIX ?= /usr/local
B := build/$(MODE)
CC ?= cc
VERSION := 0.1.0

FLAGS_release := -O2 -g $(if $(findstring clang,$(CC)),,-flto=auto -ffat-lto-objects)
# LOOP_WATCH: whoever makes an I/O loop wait is told so (base/loop_watch.h).
FLAGS_debug := -O0 -g3 -DLOOP_WATCH
FLAGS_asan := -O1 -g -DLOOP_WATCH -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
# gcc sees uninitialised variables under -fsanitize=thread where there are none.
FLAGS_tsan := -O1 -g -fsanitize=thread -Wno-maybe-uninitialized
FLAGS_coverage := -O0 -g --coverage
FLAGS_fuzz := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
PACKAGES := libuv libmicrohttpd sqlite3 jansson gnutls libisal libcrypt libcurl libsystemd libnl-3.0 libnl-route-3.0 libisofs-1
# Asked only when something is built: before "make deps" pkg-config may not be there.
PKG_CFLAGS = $(eval PKG_CFLAGS := $(shell pkg-config --cflags $(PACKAGES)))$(PKG_CFLAGS)
PKG_LIBS = $(eval PKG_LIBS := $(shell pkg-config --libs $(PACKAGES)))$(PKG_LIBS)
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith -Wwrite-strings -Werror
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -DSANBOOTD_VERSION='"$(VERSION)"' -Iserver $(FLAGS_$(MODE)) $(WARN) -pthread $(PKG_CFLAGS) $(CFLAGS)
ALL_LIBS = $(FLAGS_$(MODE)) $(if $(whole_program),,-fno-lto) -pthread $(LDFLAGS)
# What is measured is optimised as a whole (a read of 4 KiB costs 1 to 3 % less); tests are linked as they are, which is faster.
$(B)/sanbootd $(B)/bench/constant: whole_program := yes

# What a folder of server/ may use, itself first ("daemon": the files beside the folders); tests/check-includes holds them to it.
USES_base := base
USES_doctor := doctor base
USES_disk := disk base
USES_scsi := scsi disk base
USES_iscsi := iscsi scsi disk base
USES_inventory := inventory assets base
USES_store := store doctor inventory disk assets base
USES_boot := boot store doctor inventory disk assets base
USES_http := http boot dhcp store doctor inventory disk assets base
USES_dhcp := dhcp inventory assets base
USES_ctl := ctl assets base
USES_daemon := daemon http dhcp boot store doctor iscsi scsi inventory disk assets base
FOLDERS := base doctor disk scsi iscsi inventory store boot http dhcp ctl daemon
ASSETS := web:web ipxe:ipxe-scripts db:db golden:packaging/golden whoami:packaging/templates

lib_objects = $(patsubst server/%.c,$(B)/obj/%.o,$(filter-out %/main.c,$(wildcard $(if $(filter daemon,$(1)),server/*.c,server/$(1)/*.c server/$(1)/*/*.c))))
libs_of = $(foreach f,$(USES_$(1)),$(B)/lib$(f).a)

all: $(B)/sanbootd $(B)/sanbootctl

$(B)/sanbootd: $(B)/obj/main.o $(call libs_of,daemon)
	$(CC) -o $@ $^ $(ALL_LIBS) $(PKG_LIBS)
$(B)/sanbootctl: $(B)/obj/ctl/main.o $(call libs_of,ctl)
	$(CC) -o $@ $^ $(ALL_LIBS) $(PKG_LIBS)

define folder_rules
$(B)/lib$(1).a: $(call lib_objects,$(1))
	@rm -f $$@
	ar rcs $$@ $$^
UNIT_$(1) := $(patsubst tests/unit/$(1)/%.c,$(B)/unit/$(1)/%,$(wildcard tests/unit/$(1)/test_*.c))
unit-$(1): $$(UNIT_$(1))
	@tests/unit/run $$^
$(B)/unit/$(1)/%: $(B)/obj/unit/$(1)/%.o $(filter-out $(B)/obj/unit/$(1)/test_%.o,$(patsubst tests/unit/$(1)/%.c,$(B)/obj/unit/$(1)/%.o,$(wildcard tests/unit/$(1)/*.c))) $(call libs_of,$(1))
	@mkdir -p $$(@D)
	$(CC) -o $$@ $$^ $(ALL_LIBS) $$(PKG_LIBS) -lcmocka
endef
$(foreach f,$(FOLDERS),$(eval $(call folder_rules,$(f))))

define asset_rules
$(B)/gen/assets_$(1).c: $(shell find $(2) -type f) packaging/embed.sh
	@mkdir -p $$(@D)
	packaging/embed.sh assets_$(1) $(2) >$$@.tmp && mv $$@.tmp $$@
$(B)/obj/gen/assets_$(1).o: $(B)/gen/assets_$(1).c
	@mkdir -p $$(@D)
	$(CC) $$(ALL_CFLAGS) -c -o $$@ $$<
$(B)/libassets.a: $(B)/obj/gen/assets_$(1).o
endef
$(foreach a,$(ASSETS),$(eval $(call asset_rules,$(word 1,$(subst :, ,$(a))),$(word 2,$(subst :, ,$(a))))))
$(B)/libassets.a:
	@rm -f $@
	ar rcs $@ $^

$(B)/obj/%.o: server/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
$(B)/obj/unit/%.o: tests/unit/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Itests/unit -MMD -MP -c -o $@ $<
-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)

# A stand-alone target over memory, for tests/conformance.
$(B)/testd: $(B)/obj/conformance/testd.o $(B)/obj/conformance/testd_provider.o $(B)/obj/conformance/memory_disk.o $(call libs_of,iscsi)
	$(CC) -o $@ $^ $(ALL_LIBS) $(PKG_LIBS)
$(B)/obj/conformance/%.o: tests/conformance/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Itests/conformance -MMD -MP -c -o $@ $<

# The load generator, and what it is held against; tests/bench/README.md.
$(B)/bench/iload: $(patsubst tests/bench/%.c,$(B)/obj/bench/%.o,$(wildcard tests/bench/iload*.c))
	@mkdir -p $(@D)
	$(CC) -o $@ $^ $(ALL_LIBS) -lgnutls
$(B)/bench/constant $(B)/bench/bare_sync: $(B)/bench/%: $(B)/obj/bench/%.o $(call libs_of,iscsi)
	@mkdir -p $(@D)
	$(CC) -o $@ $^ $(ALL_LIBS) $(PKG_LIBS)
$(B)/obj/bench/%.o: tests/bench/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
bench-build: all $(B)/bench/iload $(B)/bench/constant $(B)/bench/bare_sync
bench: deps
	@$(MAKE) --no-print-directory -s bench-build
	@tests/bench/run $(LOADS)

# A disk that goes bad under the daemon, for tests/conformance/failures.py; a daemon that dies at a given step, for kills.py.
$(B)/faults.so $(B)/kill_at.so: $(B)/%.so: tests/conformance/%.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE $(WARN) -O1 -g -shared -fPIC -o $@ $<

# The disk engine on a simulated host: seeded histories with power cuts and failures.
$(B)/sim: $(patsubst tests/sim/%.c,$(B)/obj/sim/%.o,$(wildcard tests/sim/*.c)) $(call libs_of,disk)
	$(CC) -o $@ $^ $(ALL_LIBS) $(PKG_LIBS)
$(B)/obj/sim/%.o: tests/sim/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
sim: $(B)/sim
	@tests/sim/run $< $(or $(HISTORIES),10000) $(SEED)

# The test of the tests: each deliberate fault of tests/faults must be caught (ONLY="NAME LIST": these).
faults: build/release/sim build/release/testd $(sort $(foreach t,$(shell sed -n 's/^unit //p' tests/faults/* | sed 's/:[a-z0-9_]*//g'),build/release/unit/$(t)))
	@CC="$(CC)" tests/faults/check build/release $(ONLY)

# The disk engine and QEMU in turns on the same files: tests/differential/run.
$(B)/diskio: $(B)/obj/differential/diskio.o $(call libs_of,disk)
	$(CC) -o $@ $^ $(ALL_LIBS) $(PKG_LIBS)
$(B)/obj/differential/%.o: tests/differential/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Each tests/fuzz/fuzz_X.c is a libFuzzer harness over the real sources; its corpus is tests/fuzz/corpus/X.
FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
build/fuzz/fuzz_%: tests/fuzz/fuzz_%.c tests/fuzz/lines.h tests/fuzz/pieces.h $(call libs_of,daemon)
	$(CC) $(ALL_CFLAGS) -Itests/unit -fsanitize=fuzzer -o $@ $(filter-out %.h,$^) $(ALL_LIBS) $(PKG_LIBS)
fuzz-build: $(FUZZERS:%=build/fuzz/fuzz_%)
# The simulation, too: a million histories (HISTORIES=, SEED=).
fuzz: fuzz-harnesses build/release/sim
	@tests/sim/fuzz build/release/sim $(or $(HISTORIES),1000000) $(SEED)
fuzz-harnesses fuzz-corpus:
	@$(MAKE) --no-print-directory -s MODE=fuzz CC=clang fuzz-build
	@$(if $(filter fuzz-corpus,$@),FUZZ_SEED=1) tests/fuzz/run $(if $(filter fuzz-harnesses,$@),$(or $(SECONDS_EACH),180),3) $(FUZZERS)
	@$(if $(filter fuzz-harnesses,$@),tests/differential/run --seed $$(date +%s) --seconds $(or $(SECONDS_EACH),180))

unit-programs: $(foreach f,$(FOLDERS),$(UNIT_$(f)))
unit: unit-programs
	@tests/unit/run $(foreach f,$(FOLDERS),$(UNIT_$(f)))
deps:
	@packaging/deps.sh
test: deps
	@tests/run
demo:
	@packaging/deps.sh demo
	@$(MAKE) --no-print-directory all
	@tests/e2e/demo.sh
install: all
	install -D -m 755 $(B)/sanbootd $(DESTDIR)$(PREFIX)/sbin/sanbootd
	install -D -m 755 $(B)/sanbootctl $(DESTDIR)$(PREFIX)/bin/sanbootctl
	install -d $(DESTDIR)/lib/systemd/system $(DESTDIR)/etc/sanbootd
	sed 's|@PREFIX@|$(PREFIX)|' packaging/sanbootd.service >$(DESTDIR)/lib/systemd/system/sanbootd.service
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/sanbootd/debian-installer packaging/debian-installer/*
	test -e $(DESTDIR)/etc/sanbootd/sanbootd.conf || install -m 644 packaging/sanbootd.conf $(DESTDIR)/etc/sanbootd/sanbootd.conf
# Some of what the demo and the tests made belongs to root.
clean:
	@rm -rf build 2>/dev/null || sudo rm -rf build
.PHONY: all deps bench bench-build test demo install clean sim faults fuzz fuzz-harnesses fuzz-corpus fuzz-build unit unit-programs $(FOLDERS:%=unit-%)
.SECONDARY:
