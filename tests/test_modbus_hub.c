/* SPDX-License-Identifier: GPL-3.0-or-later */
/* News from threads to the loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "modbus_hub.h"
#include "util.h"

#include <poll.h>
#include <pthread.h>

/* Names of slaves; nobody looks behind them. */
static char names[2];
static struct modbus *const one = (struct modbus *)&names[0], *const two =
								      (struct modbus *)&names[1];

static bool readable(struct modbus_hub *h)
{
	struct pollfd p = {.fd = modbus_hub_fd(h), .events = POLLIN};
	return poll(&p, 1, 0) == 1;
}

static void add(struct modbus_list *l, struct modbus *to, enum modbus_what what, uint8_t byte)
{
	assert_int_equal(modbus_list_add(l, to, what, "word", &byte, 1), 0);
}

static void news_come_in_order_and_wake_once(void **state)
{
	(void)state;
	struct modbus_hub *h;
	struct modbus_list l, taken;
	unsigned dropped, n = 0;
	assert_int_equal(modbus_hub_new(&h), 0);
	assert_false(readable(h));
	modbus_list_init(&l);
	modbus_hub_put(h, &l);
	assert_false(readable(h)); /* nothing is no news */
	for (uint8_t i = 0; i < 6; i++) {
		add(&l, i % 2 ? one : two, MODBUS_ROUND, i);
		if (i % 3 == 2)
			modbus_hub_put(h, &l);
	}
	assert_int_equal(l.n, 0);
	assert_true(readable(h));
	modbus_hub_take(h, &taken, &dropped);
	assert_int_equal(dropped, 0);
	assert_int_equal(taken.n, 6);
	for (const struct modbus_news *x = taken.first; x; x = x->next)
		assert_int_equal(x->record[0], n++);
	assert_int_equal(n, 6);
	assert_false(readable(h));
	modbus_list_clear(&taken);
	modbus_hub_take(h, &taken, &dropped);
	assert_int_equal(taken.n, 0);
	modbus_hub_free(h);
}

static void what_is_for_one_slave_can_be_forgotten(void **state)
{
	(void)state;
	struct modbus_hub *h;
	struct modbus_list l, taken;
	unsigned dropped;
	assert_int_equal(modbus_hub_new(&h), 0);
	modbus_list_init(&l);
	for (uint8_t i = 0; i < 9; i++)
		add(&l, i % 3 ? one : two, i % 2 ? MODBUS_STATE : MODBUS_ROUND, i);
	modbus_list_forget(&l, two);
	assert_int_equal(l.n, 6);
	add(&l, two, MODBUS_DOWN, 9);
	modbus_hub_put(h, &l);
	modbus_hub_forget(h, one);
	modbus_hub_take(h, &taken, &dropped);
	assert_int_equal(taken.n, 1);
	assert_ptr_equal(taken.first->to, two);
	assert_null(taken.first->next);
	modbus_list_clear(&taken);
	modbus_hub_free(h);
}

static void rounds_that_nobody_takes_are_dropped_and_counted_and_the_rest_is_not(void **state)
{
	(void)state;
	struct modbus_hub *h;
	struct modbus_list l, taken;
	unsigned dropped, downs = 0;
	assert_int_equal(modbus_hub_new(&h), 0);
	modbus_list_init(&l);
	for (unsigned i = 0; i < 10000; i++) {
		add(&l, one, i % 100 ? MODBUS_ROUND : MODBUS_DOWN, 0);
		modbus_hub_put(h, &l);
	}
	modbus_hub_take(h, &taken, &dropped);
	assert_true(dropped > 1000 && taken.n + dropped == 10000);
	for (const struct modbus_news *x = taken.first; x; x = x->next)
		downs += x->what == MODBUS_DOWN;
	assert_int_equal(downs, 100);
	modbus_list_clear(&taken);
	modbus_hub_take(h, &taken, &dropped);
	assert_int_equal(dropped, 0);
	modbus_hub_free(h);
}

static void *put_many(void *arg)
{
	struct modbus_list l;
	modbus_list_init(&l);
	for (unsigned i = 0; i < 2000; i++) {
		add(&l, one, MODBUS_ROUND, (uint8_t)i);
		if (i % 7 == 0)
			modbus_hub_put(arg, &l);
	}
	modbus_hub_put(arg, &l);
	return NULL;
}

static void threads_may_put_while_the_loop_takes(void **state)
{
	(void)state;
	struct modbus_hub *h;
	pthread_t threads[3];
	unsigned n = 0, lost = 0;
	assert_int_equal(modbus_hub_new(&h), 0);
	for (size_t i = 0; i < ELEMENTS(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, put_many, h), 0);
	while (n + lost < 6000) {
		struct modbus_list taken;
		struct pollfd p = {.fd = modbus_hub_fd(h), .events = POLLIN};
		unsigned dropped;
		assert_int_equal(
			poll(&p, 1, 60000), 1); /* it wakes as long as there is something */
		modbus_hub_take(h, &taken, &dropped);
		n += taken.n;
		lost += dropped;
		modbus_list_clear(&taken);
	}
	for (size_t i = 0; i < ELEMENTS(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(n + lost, 6000);
	modbus_hub_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(news_come_in_order_and_wake_once),
		cmocka_unit_test(what_is_for_one_slave_can_be_forgotten),
		cmocka_unit_test(
			rounds_that_nobody_takes_are_dropped_and_counted_and_the_rest_is_not),
		cmocka_unit_test(threads_may_put_while_the_loop_takes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
