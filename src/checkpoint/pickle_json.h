/* Plain values of a pickle as JSON, for the description of a network. */
#ifndef GV_CHECKPOINT_PICKLE_JSON_H
#define GV_CHECKPOINT_PICKLE_JSON_H

#include "checkpoint/pickle.h"

#include <jansson.h>

typedef struct gv_pickle_json {
    const char *file; /* for messages */
    size_t values;    /* JSON values that may still be made */
    size_t steps;     /* entries that may still be looked at: shared dicts multiply */
} gv_pickle_json;

/* With limits in proportion to the pickle. */
gv_pickle_json gv_pickle_json_make(const char *file, const gv_pickle *pickle);

/* Takes away as many values as an object with a name of that length costs. Errors GV_E_FORMAT. */
gv_status gv_pickle_json_charge(gv_pickle_json *j, size_t name_size, gv_error *err);

/* INT, FLOAT and NumPy's scalars as a double; a BOOL is no number. */
bool gv_pickle_get_number(const gv_pickle_value *v, double *out);

/* None, numbers, text, lists, tuples and dicts of these.
 * *out    returned owned (json_decref), or NULL with GV_OK for anything else (objects, tensors),
 *         which a description passes over; inside of lists it makes the whole list NULL
 * Errors  GV_E_FORMAT if nested or shared beyond reason, or for text that is not UTF-8;
 *         GV_E_NUMERIC for NaN and infinity, which JSON lacks; GV_E_MEMORY */
gv_status gv_pickle_to_json(gv_pickle_json *j, json_t **out, const gv_pickle_value *v,
                            gv_error *err);

/* Converts the entries of a dict into object; keys that start with '_' or are no UTF-8 text of less
 * than 256 bytes are passed over. */
gv_status gv_pickle_entries_to_json(gv_pickle_json *j, json_t *object, const gv_pickle_value *dict,
                                    gv_error *err);

#endif
