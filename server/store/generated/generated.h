/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The backend of volumes whose content somebody makes anew at each boot: see generated.c. Private to store/. */
#ifndef STORE_GENERATED_H
#define STORE_GENERATED_H

#include "store/backend.h"

extern const struct store_backend store_generated;

#endif
