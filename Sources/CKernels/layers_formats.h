// No include guard: includes the file that CONVOY_TEMPLATE names once for each number format.
#define REAL float
#define NAME(name) convoy_##name##_f32
#define LOCAL(name) name##_f32
#include CONVOY_TEMPLATE
#undef REAL
#undef NAME
#undef LOCAL

#define REAL double
#define NAME(name) convoy_##name##_f64
#define LOCAL(name) name##_f64
#include CONVOY_TEMPLATE
#undef REAL
#undef NAME
#undef LOCAL
