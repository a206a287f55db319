# vitalgate. `make deps` once (Debian 12, as root), then `make`, `make test`, `make demo`.
# SAN=1 builds with AddressSanitizer and UndefinedBehaviorSanitizer into build-san/.

CC ?= gcc
PREFIX ?= /usr
SYSCONFDIR ?= /etc
DESTDIR ?=
VERSION := 0.1.0

ifeq ($(SAN),1)
B := build-san
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
export UBSAN_OPTIONS := print_stacktrace=1
else
B := build
HARDEN := -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fcf-protection
endif
export VITALGATE_BUILD := $(B)

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wconversion -Wno-sign-conversion -Werror
CPPFLAGS += -Iinclude -Idaemon -I$(B) -D_GNU_SOURCE -DVITALGATE_VERSION='"$(VERSION)"' -DVITALGATE_TABLES='"$(PREFIX)/share/vitalgate"'
CFLAGS += -std=gnu17 -O2 -g $(WARN) $(HARDEN) $(SANFLAGS) -fPIE -pthread -ffile-prefix-map=$(CURDIR)=.
LDFLAGS += -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(SANFLAGS) -pthread

CORE_LIBS := -lsystemd -lsqlite3 -ljansson -lyaml -lmd -lbluetooth
UPLINK_LIBS := -lsystemd -lyaml -ljansson -lpaho-mqtt3as

CORE_SRC := $(filter-out daemon/main.c,$(wildcard daemon/*.c)) $(wildcard drivers/*.c)
CORE_OBJ := $(CORE_SRC:%.c=$(B)/%.o)
UPLINK_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard daemon/uplink/*.c))
CLI_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard daemon/cli/*.c))
PROGRAMS := $(B)/vitalgated $(B)/vitalgate-uplink $(B)/vitalgate
UNIT_TESTS := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/test_*.c))
FUZZ_SMOKE := $(patsubst tests/fuzz/fuzz_%.c,$(B)/tests/fuzz_%,$(wildcard tests/fuzz/fuzz_*.c))
TEST_HELPERS := $(B)/tests/slowdisk.so $(B)/tests/codes_probe

.PHONY: all test test-bluez check-tests demo bench lint format install clean deps fuzz
all: $(PROGRAMS)

$(B)/core.a: $(CORE_OBJ)
	@rm -f $@
	@ar rcs $@ $^

$(B)/vitalgated: $(B)/daemon/main.o $(B)/core.a
	@echo "  LD    $@"
	@$(CC) $(LDFLAGS) -o $@ $^ $(CORE_LIBS)

$(B)/vitalgate: $(CLI_OBJ) $(B)/core.a
	@echo "  LD    $@"
	@$(CC) $(LDFLAGS) -o $@ $^ $(CORE_LIBS)

$(B)/vitalgate-uplink: $(UPLINK_OBJ) $(B)/core.a
	@echo "  LD    $@"
	@$(CC) $(LDFLAGS) -o $@ $^ $(UPLINK_LIBS)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# The schema is read as SQL by people and as a string by the compiler.
$(B)/schema.inc: daemon/schema.sql
	@mkdir -p $(@D)
	@sed -e 's/[[:space:]]*--.*//' -e '/^[[:space:]]*$$/d' -e 's/.*/"&\\n"/' $< >$@
$(B)/daemon/db.o: $(B)/schema.inc

$(B)/tests/test_%: tests/test_%.c $(B)/core.a
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -Itests -MMD -MP $(LDFLAGS) -o $@ $(filter %.c,$^) $(B)/core.a -lcmocka $(CORE_LIBS)

$(B)/tests/fuzz_%: tests/fuzz/fuzz_%.c tests/fuzz/smoke.c $(B)/core.a
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -Itests -Itests/fuzz $(LDFLAGS) -o $@ $(filter %.c,$^) $(B)/core.a $(CORE_LIBS)

$(B)/tests/%.so: tests/%.c
	@mkdir -p $(@D)
	@$(CC) -std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -fPIC -shared -o $@ $< -ldl -pthread

-include $(wildcard $(B)/*/*.d $(B)/*/*/*.d)

deps:
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
		gcc make libc6-dev libsystemd-dev libsqlite3-dev libpaho-mqtt-dev libmodbus-dev libbluetooth-dev \
		libyaml-dev libjansson-dev libmd-dev libssl-dev libcmocka-dev tzdata \
		mosquitto mosquitto-clients dbus socat openssl sqlite3 clang-format \
		python3 python3-paho-mqtt python3-dbusmock binutils iproute2
