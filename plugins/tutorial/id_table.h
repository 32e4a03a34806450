// SPDX-License-Identifier: Apache-2.0
//
// Host ids and the objects they name, sorted by id: the host counts upwards, so
// that inserting is appending.

#ifndef ID_TABLE_H
#define ID_TABLE_H

#include <stddef.h>
#include <stdint.h>

typedef struct id_entry {
  uint64_t id;
  void* object;
} id_entry;

// All zero: empty.  One thread at a time.
typedef struct id_table {
  id_entry* entries;
  size_t count;
  size_t capacity;
} id_table;

enum { ID_INSERTED = 0, ID_TAKEN = 1, ID_NO_MEMORY = 2 };

int id_table_insert(id_table* table, uint64_t id, void* object);
// NULL if there is none of that id; likewise id_table_remove.
void* id_table_find(const id_table* table, uint64_t id);
void* id_table_remove(id_table* table, uint64_t id);
void id_table_free(id_table* table);

#endif  // ID_TABLE_H
