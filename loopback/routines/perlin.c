#include "loopback/routines/perlin.h"

#include <math.h>
#include <stdint.h>

static const uint8_t permutation[256] = {
    151, 160, 137, 91,  90,  15,  131, 13,  201, 95,  96,  53,  194, 233, 7,   225, 140, 36,  103,
    30,  69,  142, 8,   99,  37,  240, 21,  10,  23,  190, 6,   148, 247, 120, 234, 75,  0,   26,
    197, 62,  94,  252, 219, 203, 117, 35,  11,  32,  57,  177, 33,  88,  237, 149, 56,  87,  174,
    20,  125, 136, 171, 168, 68,  175, 74,  165, 71,  134, 139, 48,  27,  166, 77,  146, 158, 231,
    83,  111, 229, 122, 60,  211, 133, 230, 220, 105, 92,  41,  55,  46,  245, 40,  244, 102, 143,
    54,  65,  25,  63,  161, 1,   216, 80,  73,  209, 76,  132, 187, 208, 89,  18,  169, 200, 196,
    135, 130, 116, 188, 159, 86,  164, 100, 109, 198, 173, 186, 3,   64,  52,  217, 226, 250, 124,
    123, 5,   202, 38,  147, 118, 126, 255, 82,  85,  212, 207, 206, 59,  227, 47,  16,  58,  17,
    182, 189, 28,  42,  223, 183, 170, 213, 119, 248, 152, 2,   44,  154, 163, 70,  221, 153, 101,
    155, 167, 43,  172, 9,   129, 22,  39,  253, 19,  98,  108, 110, 79,  113, 224, 232, 178, 185,
    112, 104, 218, 246, 97,  228, 251, 34,  242, 193, 238, 210, 144, 12,  191, 179, 162, 241, 81,
    51,  145, 235, 249, 14,  239, 107, 49,  192, 214, 31,  181, 199, 106, 157, 184, 84,  204, 176,
    115, 121, 50,  45,  127, 4,   150, 254, 138, 236, 205, 93,  222, 114, 67,  29,  24,  72,  243,
    141, 128, 195, 78,  66,  215, 61,  156, 180,
};

static unsigned hash(unsigned index)
{
    return permutation[index & 255];
}

static double fade(double t)
{
    return t * t * t * (t * (t * 6 - 15) + 10);
}

static double lerp(double t, double a, double b)
{
    return a + t * (b - a);
}

/** The dot product with one of the twelve gradients: the middles of a cube's edges, four of them
 * twice. */
static double gradient(unsigned hash, double x, double y, double z)
{
    const unsigned h = hash & 15;
    const double u = h < 8 ? x : y;
    const double v = h < 4 ? y : h == 12 || h == 14 ? x : z;
    return ((h & 1) == 0 ? u : -u) + ((h & 2) == 0 ? v : -v);
}

double perlin_noise(double x, double y, double z)
{
    const double cell_x = floor(x), cell_y = floor(y), cell_z = floor(z);
    const unsigned corner_x = (unsigned)(int)cell_x & 255;
    const unsigned corner_y = (unsigned)(int)cell_y & 255;
    const unsigned corner_z = (unsigned)(int)cell_z & 255;
    x -= cell_x;
    y -= cell_y;
    z -= cell_z;
    const double u = fade(x), v = fade(y), w = fade(z);
    const unsigned a = hash(corner_x) + corner_y, b = hash(corner_x + 1) + corner_y;
    const unsigned aa = hash(a) + corner_z, ab = hash(a + 1) + corner_z;
    const unsigned ba = hash(b) + corner_z, bb = hash(b + 1) + corner_z;
    const double near_side =
        lerp(v, lerp(u, gradient(hash(aa), x, y, z), gradient(hash(ba), x - 1, y, z)),
             lerp(u, gradient(hash(ab), x, y - 1, z), gradient(hash(bb), x - 1, y - 1, z)));
    const double far_side = lerp(
        v, lerp(u, gradient(hash(aa + 1), x, y, z - 1), gradient(hash(ba + 1), x - 1, y, z - 1)),
        lerp(u, gradient(hash(ab + 1), x, y - 1, z - 1),
             gradient(hash(bb + 1), x - 1, y - 1, z - 1)));
    return lerp(w, near_side, far_side);
}
