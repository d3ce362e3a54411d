#include <math.h>
#include <string.h>

#include "layers.h"

#pragma STDC FP_CONTRACT OFF

#define CONVOY_TEMPLATE "layers_pooling_template.h"
#include "layers_formats.h"
