#include "manager/job_table.h"

#include <stdlib.h>

/* An id is serial << 24 | pool << 16 | index; the serial never repeats in the life of a manager. */
#define INDEX_BITS   16
#define SERIAL_SHIFT 24

weir_status weir_job_table_init(weir_job_table *table, uint32_t capacity, uint8_t pool)
{
    *table = (weir_job_table){.capacity = capacity, .pool = pool};
    table->entries = calloc(capacity, sizeof *table->entries);
    table->free_indices = calloc(capacity, sizeof *table->free_indices);
    if (table->entries == NULL || table->free_indices == NULL) {
        weir_job_table_destroy(table);
        return WEIR_NO_MEMORY;
    }
    return WEIR_OK;
}

void weir_job_table_destroy(weir_job_table *table)
{
    free(table->entries);
    free(table->free_indices);
    *table = (weir_job_table){0};
}

weir_job_entry *weir_job_table_take(weir_job_table *table)
{
    uint32_t index;
    if (table->free_count > 0) {
        /* Last in, first out: the entry is still in the cache. */
        index = table->free_indices[--table->free_count];
    } else if (table->used_mark < table->capacity) {
        index = table->used_mark++;
    } else {
        return NULL;
    }
    weir_job_entry *entry = &table->entries[index];
    entry->id = ++table->serial << SERIAL_SHIFT | (uint64_t)table->pool << INDEX_BITS | index;
    entry->state = WEIR_JOB_RESERVED;
    entry->at = NULL;
    entry->stored_bytes = 0;
    entry->sent_count = 0;
    entry->begun_count = 0;
    entry->envelope_flags = 0;
    entry->next = WEIR_NO_JOB;
    entry->previous = WEIR_NO_JOB;
    return entry;
}

void weir_job_table_free(weir_job_table *table, weir_job_entry *entry)
{
    entry->state = WEIR_JOB_FREE;
    table->free_indices[table->free_count++] = (uint32_t)(entry - table->entries);
}

weir_job_entry *weir_job_table_find(weir_job_table *table, uint64_t id)
{
    const uint32_t index = (uint32_t)(id & ((1u << INDEX_BITS) - 1));
    if (index >= table->used_mark) {
        return NULL;
    }
    weir_job_entry *entry = &table->entries[index];
    return entry->id == id && entry->state != WEIR_JOB_FREE ? entry : NULL;
}

void weir_job_list_init(weir_job_list *list)
{
    *list = (weir_job_list){.first = WEIR_NO_JOB, .last = WEIR_NO_JOB};
}

void weir_job_list_append(weir_job_table *table, weir_job_list *list, weir_job_entry *entry)
{
    const uint32_t index = (uint32_t)(entry - table->entries);
    entry->previous = list->last;
    entry->next = WEIR_NO_JOB;
    if (list->last == WEIR_NO_JOB) {
        list->first = index;
    } else {
        table->entries[list->last].next = index;
    }
    list->last = index;
    list->count++;
}

void weir_job_list_prepend(weir_job_table *table, weir_job_list *list, weir_job_entry *entry)
{
    const uint32_t index = (uint32_t)(entry - table->entries);
    entry->next = list->first;
    entry->previous = WEIR_NO_JOB;
    if (list->first == WEIR_NO_JOB) {
        list->last = index;
    } else {
        table->entries[list->first].previous = index;
    }
    list->first = index;
    list->count++;
}

void weir_job_list_remove(weir_job_table *table, weir_job_list *list, weir_job_entry *entry)
{
    if (entry->previous == WEIR_NO_JOB) {
        list->first = entry->next;
    } else {
        table->entries[entry->previous].next = entry->next;
    }
    if (entry->next == WEIR_NO_JOB) {
        list->last = entry->previous;
    } else {
        table->entries[entry->next].previous = entry->previous;
    }
    entry->next = WEIR_NO_JOB;
    entry->previous = WEIR_NO_JOB;
    list->count--;
}

weir_job_entry *weir_job_list_first(weir_job_table *table, const weir_job_list *list)
{
    return list->first == WEIR_NO_JOB ? NULL : &table->entries[list->first];
}

weir_job_entry *weir_job_list_last(weir_job_table *table, const weir_job_list *list)
{
    return list->last == WEIR_NO_JOB ? NULL : &table->entries[list->last];
}
