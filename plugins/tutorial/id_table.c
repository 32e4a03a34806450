// SPDX-License-Identifier: Apache-2.0

#include "id_table.h"

#include <stdlib.h>
#include <string.h>

// The first entry whose id is not below `id`.
static size_t lower_bound(const id_table* table, uint64_t id) {
  size_t begin = 0;
  size_t end = table->count;
  while (begin < end) {
    const size_t middle = begin + (end - begin) / 2;
    if (table->entries[middle].id < id) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin;
}

int id_table_insert(id_table* table, uint64_t id, void* object) {
  const size_t at = lower_bound(table, id);
  if (id == 0) return ID_TAKEN;
  if (at < table->count && table->entries[at].id == id) return ID_TAKEN;
  if (table->count == table->capacity) {
    const size_t capacity = table->capacity == 0 ? 16 : 2 * table->capacity;
    id_entry* entries = realloc(table->entries, capacity * sizeof(*entries));
    if (entries == NULL) return ID_NO_MEMORY;
    table->entries = entries;
    table->capacity = capacity;
  }
  memmove(&table->entries[at + 1], &table->entries[at],
          (table->count - at) * sizeof(id_entry));
  table->entries[at] = (id_entry){id, object};
  ++table->count;
  return ID_INSERTED;
}

void* id_table_find(const id_table* table, uint64_t id) {
  const size_t at = lower_bound(table, id);
  const int found = at < table->count && table->entries[at].id == id;
  return found ? table->entries[at].object : NULL;
}

void* id_table_remove(id_table* table, uint64_t id) {
  void* object = id_table_find(table, id);
  if (object == NULL) return NULL;
  const size_t at = lower_bound(table, id);
  memmove(&table->entries[at], &table->entries[at + 1],
          (table->count - at - 1) * sizeof(id_entry));
  --table->count;
  return object;
}

void id_table_free(id_table* table) { free(table->entries); }
