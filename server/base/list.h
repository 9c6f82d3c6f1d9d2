/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A doubly linked ring with a head; an element embeds struct list. One thread. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/util.h"

#include <stdbool.h>

struct list {
	struct list *next, *prev;
};

/* The element that embeds link as member. */
#define list_entry(link, type, member) container_of(link, type, member)
/* The body may remove the element it is at, and no other. */
#define list_each(at, following, head) \
	for (struct list *at = (head)->next, *following = at->next; at != (head); at = following, following = at->next)

static inline void list_init(struct list *head)
{
	head->next = head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

/* Whether an element is in some list; it was initialised by list_init. */
static inline bool list_linked(const struct list *link)
{
	return link->next != link;
}

static inline void list_append(struct list *head, struct list *link)
{
	link->prev = head->prev;
	link->next = head;
	head->prev->next = link;
	head->prev = link;
}

/* Harmless on an element that is in no list. */
static inline void list_remove(struct list *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	list_init(link);
}

#endif
