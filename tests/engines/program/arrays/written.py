"""Programs that write into arrays: assignment, views of views, in-place operators, ufunc.at.

Each takes ``x`` (3, 4), ``y`` (4, 5) and ``v`` (4,).
"""

from typing import Any

import numpy as np

WRITTEN = {}


def written(name: str) -> Any:
    def note(function: Any) -> Any:
        WRITTEN[name] = function
        return function

    return note


@written("rows of zeros")
def rows(x, y, v):
    out = np.zeros((4, 4))
    for i in range(3):
        out[i] = x[i] * 2
    out[3, 1] = v[2]
    return out


@written("a view of a view")
def view_of_view(x, y, v):
    out = np.empty((3, 4))
    out[0][:] = v
    out[1:][::-1][0][1:] = v[1:]
    out[2, 0] = 1.0
    out[1] = 2.0
    return out


@written("through reshape")
def through_reshape(x, y, v):
    out = np.zeros((3, 4))
    out.reshape(-1)[:] = x.T.reshape(-1)
    out.ravel()[2:4] = v[:2]
    return out


@written("through a transpose")
def through_transpose(x, y, v):
    out = np.zeros((4, 3))
    out.T[...] = x
    out.T[0] += v
    return out


@written("Fortran order")
def fortran(x, y, v):
    out = np.zeros((3, 4), order="F")
    out[:] = x
    out.T[1] = 5.0
    view = out.ravel("K")
    view[3:] = v[0]
    return out, view


@written("computed in Fortran order")
def computed_fortran(x, y, v):
    out = x.T * 2.0
    view = out.T.reshape(-1)
    view[1] = v[1] * v[2]
    return out, view


@written("negative strides")
def negative(x, y, v):
    out = (x[::-1, ::-1] * 1.0)[:, ::-1]
    out[0, ::-2] = v[:2]
    view = out[::-1]
    view[0, 1] = v[3]
    return out


@written("assignment of a broadcast")
def broadcast(x, y, v):
    out = np.zeros((2, 3, 4))
    out[:] = x
    out[1] = v
    out[0, :, 1] = v[0]
    out[:, :, :1] = x[:, 1:2]
    return out


@written("still over moving")
def still_over_moving(x, y, v):
    out = x * 2.0
    out[0] = 1.0
    out[:, 1] = np.arange(3.0)
    return out


@written("arrays as indices")
def fancy(x, y, v):
    out = np.zeros((3, 4))
    out[[0, 2]] = x[:2]
    out[np.arange(3), [1, 0, 3]] = v[:3]
    out[np.arange(12).reshape(3, 4) % 5 == 0] = 7.0
    out[np.arange(12).reshape(3, 4) % 7 == 1] = v[:2]
    return out


@written("repeated indices: the last wins")
def repeated(x, y, v):
    out = np.zeros(4)
    out[[0, 1, 0, 0]] = v
    return out


@written("separated arrays as indices")
def separated(x, y, v):
    out = np.zeros((3, 4, 3))
    out[[0, 1, 2], :, [2, 0, 1]] = x
    out[0, 1:3, [0, 1, 2]] = x[:, :2]
    return out


@written("a mask that differs")
def mask(x, y, v):
    out = x * 1.0
    out[out < 0] = 0.0
    out[x > 0.5] = v[0]
    return out


@written("a mask multiplied in place")
def mask_in_place(x, y, v):
    out = x * 1.0
    out *= x > 0
    return out


@written("in place")
def in_place(x, y, v):
    out = np.ones((3, 4))
    out += x
    out *= v
    out -= 1.0
    out /= 2.0 + v * v
    out **= 2
    out[1] += v
    out[:, 0] *= 3.0
    return out


@written("in place on a scalar")
def scalar(x, y, v):
    total = np.sum(x)
    kept = total
    total += v[0]
    total *= 2.0
    return kept, total


@written("in place on itself")
def itself(x, y, v):
    out = x * 1.0
    out += out.T[:3, :3].sum()
    out[1:] += out[:-1]
    out[:, 1:] = out[:, :-1]
    return out


@written("matmul in place")
def matmul_in_place(x, y, v):
    out = x * 1.0
    out @= y @ y.T
    return out


@written("an alias is written to")
def alias(x, y, v):
    first = x + 1.0
    second = first
    third = first + 0.0
    second[0] = v
    return first, second, third


@written("what was calculated from it is written to")
def descendants(x, y, v):
    first = x * 2.0
    second, third, fourth = first + 0.0, +first, np.concatenate([first])
    fifth, sixth = np.where(True, first, 0.0), first.astype(first.dtype)
    first[0] = v
    second[1] = v
    third *= 3.0
    fourth[2] += v
    fifth[...] = 1.0
    return first, second, third, fourth, fifth, sixth


@written("written after it was read")
def read_first(x, y, v):
    out = np.zeros((3, 4))
    out[0] = v
    row, number, picked = out[0], out[0, 1], out[[0]]
    out[0] = 2.0 * v
    return row, number, picked


@written("add.at")
def add_at(x, y, v):
    out = np.zeros((3, 4))
    np.add.at(out, ([0, 0, 2, 0], [1, 1, 3, 1]), v)
    np.add.at(out, 1, v)
    np.subtract.at(out, (slice(None), [0, 0]), x[:, :2])
    return out


@written("other ufuncs at repeated indices")
def others_at(x, y, v):
    first, second, third = np.ones((3, 4)), x * 1.0, np.full(4, -9.0)
    np.multiply.at(first, ([0, 0, 2, 0], [1, 1, 3, 1]), v)
    np.divide.at(second, ([0, 0, 2], slice(None)), 2.0 + v * v)
    np.maximum.at(third, [0, 1, 0, 0], v)
    np.negative.at(second, [0, 0, 0])
    return first, second, third


@written("ndenumerate")
def enumerated(x, y, v):
    made = np.zeros((4, 3))
    for (i, j), entry in np.ndenumerate(x):
        made[j, i] = entry * v[j]
    return made


@written("add.at with separated arrays")
def add_at_separated(x, y, v):
    out = np.zeros((3, 4, 3))
    np.add.at(out, ([0, 0, 2], slice(None), [1, 1, 2]), x)
    return out


@written("out=")
def out_argument(x, y, v):
    out = np.zeros((3, 4))
    np.multiply(x, v, out=out)
    np.exp(out, out=out)
    np.add(out[0], v, out=out[1])
    return out


@written("where=")
def where_argument(x, y, v):
    out = x * 3.0
    np.sqrt(x * x + 1.0, out=out, where=np.array([True, False, True, False]))
    return out


@written("fill and copyto")
def fill(x, y, v):
    out = np.zeros((2, 4))
    out[0].fill(v[0])
    out.fill(2.0)
    out.flat[3] = v[1]
    out.T.flat[0] = v[2]
    return out


@written("copyto, put, place, putmask, fill_diagonal, put_along_axis")
def writers(x, y, v):
    first, second, third, fourth, fifth, sixth = (np.zeros((3, 4)) for _ in range(6))
    np.copyto(first, x)
    np.copyto(first, v, where=np.array([True, False, True, False]))
    np.put(second, [1, 3, 7], v)
    second.put([0, 2], v[3])
    np.place(third, np.arange(12).reshape(3, 4) % 2 == 0, v)
    np.putmask(fourth, np.arange(12).reshape(3, 4) % 2 == 0, x * x)
    np.fill_diagonal(fifth, v[:3])
    np.fill_diagonal(fifth[:2, 2:], v[3])
    np.put_along_axis(sixth, np.array([[0, 2], [1, 3], [3, 0]]), x[:, :2], axis=1)
    return first, second, third, fourth, fifth, sixth


@written("a list of moving rows")
def rows_of_list(x, y, v):
    out = np.zeros((3, 4))
    out[1:] = [v, 2 * v]
    out[0] = [v[0], 1.0, v[1], 2.0]
    return out


@written("the input itself")
def own_input(x, y, v):
    x[0] = v
    x += 1.0
    return x


@written("windows that overlap")
def windows(x, y, v):
    out = np.zeros(6)
    view = np.lib.stride_tricks.as_strided(out, (3, 4), out.strides * 2)
    view[0] = v
    view[2, 1:] = x[0, 1:]
    return out, view * 1.0


@written("a larger array than the batch")
def im2col(x, y, v):
    padded = np.pad(x, 1)
    columns = np.zeros((12, 9))
    for i in range(3):
        for j in range(4):
            columns[i * 4 + j] = padded[i : i + 3, j : j + 3].reshape(-1)
    return columns @ np.arange(9.0)


@written("a recurrence")
def recurrence(x, y, v):
    h = np.zeros((5, 3, 4))
    for t in range(1, 5):
        h[t] = np.tanh(h[t - 1] * v + x)
    return h[-1], h.sum()
