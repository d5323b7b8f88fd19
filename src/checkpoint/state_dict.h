/* Finds the state dict in an object that torch saved, and walks modules. */
#ifndef GV_CHECKPOINT_STATE_DICT_H
#define GV_CHECKPOINT_STATE_DICT_H

#include "checkpoint/torch_file.h"

/* Adds the tensors of the state dict at the root, or under 'state_dict', 'G_ema', 'g_ema',
 * 'generator' or 'G', or of a whole module found there. Other entries are passed over.
 * Errors GV_E_FORMAT if there is none; as gv_torch_view. */
gv_status gv_state_dict_read(gv_view_list *list, const gv_torch_file *t, gv_error *err);

/* The __dict__ of a pickled module (of NVlabs' persistence as well), or NULL if v is none. */
const gv_pickle_value *gv_module_state(const gv_pickle_value *v);
/* Its class: TEXT, or NULL. */
const gv_pickle_value *gv_module_class(const gv_pickle_value *v);

/* Calls fn for the module and all modules below it, parents first.
 * fn     path is "" for the first, then "synthesis.b4"; lives in the list's arena
 * Errors of fn; GV_E_FORMAT if modules are nested or shared beyond reason. */
typedef gv_status gv_module_fn(void *ctx, const char *path, const gv_pickle_value *module,
                               gv_error *err);
gv_status gv_module_walk(gv_view_list *list, const gv_torch_file *t, const gv_pickle_value *module,
                         gv_module_fn *fn, void *ctx, gv_error *err);

/* Adds the parameters and buffers of one module: "path.name". */
gv_status gv_module_tensors(gv_view_list *list, const gv_torch_file *t, const char *path,
                            const gv_pickle_value *module, gv_error *err);

#endif
