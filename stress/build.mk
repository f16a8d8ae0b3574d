# SPDX-License-Identifier: MIT
# Builds stress.bin, and on demand step.bin and host.bin, in one variant, for stress/run:
#	make -f stress/build.mk root=SOURCES out=DIR cc=COMPILER flags=FLAGS
core := $(addprefix $(root)/lib/,$(shell sh $(root)/lib/sources.sh))
programs := %/main.c %/step.c %/host.c
own := $(filter-out $(programs),$(wildcard $(root)/stress/*.c))
all_flags := -std=c11 -O2 -g1 -Wall -Wextra -Werror -D_GNU_SOURCE -I$(root)/include -I$(root)/stress $(flags)
objects := $(patsubst $(root)/%.c,$(out)/%.o,$(core) $(own))

$(out)/stress.bin: $(objects) $(out)/stress/main.o
	$(cc) $(all_flags) -o $@ $^ -pthread

$(out)/step.bin: $(objects) $(out)/stress/step.o
	$(cc) $(all_flags) -o $@ $^ -pthread

# the hosted layer and what it stands on
host := $(addprefix $(root)/lib/,$(shell sh $(root)/lib/sources.sh --host))
host_objects := $(patsubst $(root)/%.c,$(out)/%.o,$(host)) $(out)/stress/host.o
host_libs = $(shell pkg-config --libs liburcu-memb liburcu-qsbr liburcu-mb ck)
$(host_objects): all_flags += -DRAMKA_HAVE_URCU -DRAMKA_HAVE_CK -I$(root)/lib

$(out)/host.bin: $(objects) $(host_objects)
	$(cc) $(all_flags) -o $@ $^ $(host_libs) -pthread

$(out)/%.o: $(root)/%.c $(wildcard $(root)/lib/*.h $(root)/lib/*/*.h $(root)/include/ramka/*.h $(root)/stress/*.h)
	@mkdir -p $(dir $@)
	$(cc) $(all_flags) -MMD -c -o $@ $<
