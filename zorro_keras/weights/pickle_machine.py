"""Reads pickles without running them: a small machine that knows data, and a few constructors by name.

Python's own unpickler imports and calls whatever a file names. This one has no import and no call in it:
a name is a key of a table that the caller gives, anything else is refused.
"""

import pickletools

from zorro_keras.weights.error import WeightsError, short

_PLAIN = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_ARGUMENT = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT")
_TEXT = ("BINUNICODE", "SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8")
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUTS = ("BINPUT", "LONG_BINPUT", "MEMOIZE")
_GETS = ("BINGET", "LONG_BINGET")
_NOTHING = ("PROTO", "FRAME")
_MARK = object()
_MAX_ARGUMENTS = 8  # of a call: torch gives a tensor 7, numpy an array 3


class Name:
    """A global that a pickle names, and what stands for it here.

    Args:
        text: str, "module.name".
        construct: callable on what the pickle would call the global with; `None` if it may only be named.
    """

    def __init__(self, text, construct=None):
        self.text = text
        self.construct = construct


def read_pickle(data, names, persistent=None):
    """Returns the object that a pickle describes, made of plain data and of what `names` constructs.

    Args:
        data: bytes of the pickle.
        names: dict of "module.name" to `None`, or to the callable that stands for it. What it returns may
            have a method `set_state`, for the state that a pickle sets afterwards.
        persistent: callable on a persistent id; `None` where the format has none.

    Raises:
        WeightsError: for a global that is not in `names`, for an instruction that data does not need, and
            for anything malformed.
    """
    machine = _Machine({text: Name(text, construct) for text, construct in names.items()}, persistent)
    try:
        for opcode, argument, _ in pickletools.genops(data):
            machine.step(opcode.name, argument)
    except WeightsError:
        raise
    except (ValueError, LookupError, TypeError, ArithmeticError, RecursionError, MemoryError) as error:
        raise WeightsError(f"The pickle is damaged: {short(str(error))}") from error
    if len(machine.stack) != 1 or machine.stack[0] is _MARK:
        raise WeightsError(f"The pickle is damaged: it leaves {len(machine.stack)} objects instead of one.")
    return machine.stack[0]


class _Machine:
    """The stack and the memo of one pickle."""

    def __init__(self, names, persistent):
        self.names = names
        self.persistent = persistent
        self.stack = []
        self.memo = {}

    def step(self, opcode, argument):
        stack = self.stack
        if opcode in _PLAIN:
            stack.append(_PLAIN[opcode])
        elif opcode in _ARGUMENT or opcode in _TEXT:
            stack.append(argument)
        elif opcode in _PUTS:
            self.memo[len(self.memo) if opcode == "MEMOIZE" else argument] = stack[-1]
        elif opcode in _GETS:
            stack.append(self.memo[argument])
        elif opcode in _TUPLES:
            stack.append(self._popped(_TUPLES[opcode]))
        elif opcode not in _NOTHING:
            self._other(opcode, argument)

    def _other(self, opcode, argument):
        handler = getattr(self, f"_do_{opcode.lower()}", None)
        if handler is None:
            raise WeightsError(f"The pickle holds the instruction {opcode}, which no weight file needs.")
        handler(argument)

    def _popped(self, count):
        if len(self.stack) < count or any(item is _MARK for item in self.stack[-count:]):
            raise ValueError("too few objects on the stack")
        taken = tuple(self.stack[-count:])
        del self.stack[-count:]
        return taken

    def _popped_to_mark(self):
        place = len(self.stack) - 1
        while place >= 0 and self.stack[place] is not _MARK:
            place -= 1
        if place < 0:
            raise ValueError("a mark is missing")
        taken = tuple(self.stack[place + 1 :])
        del self.stack[place:]
        return taken

    def _do_stop(self, _):
        pass

    def _do_mark(self, _):
        self.stack.append(_MARK)

    def _do_empty_dict(self, _):
        self.stack.append({})

    def _do_empty_list(self, _):
        self.stack.append([])

    def _do_empty_tuple(self, _):
        self.stack.append(())

    def _do_tuple(self, _):
        self.stack.append(self._popped_to_mark())

    def _do_append(self, _):
        self._extend(self._popped(1))

    def _do_appends(self, _):
        self._extend(self._popped_to_mark())

    def _extend(self, items):
        if not isinstance(self.stack[-1], list):
            raise ValueError("items for something that is no list")
        self.stack[-1].extend(items)

    def _do_setitem(self, _):
        self._update(self._popped(2))

    def _do_setitems(self, _):
        self._update(self._popped_to_mark())

    def _update(self, items):
        keys, values = items[::2], items[1::2]
        # Text alone: to hash a tuple of tuples of tuples could take for ever.
        if not isinstance(self.stack[-1], dict) or not all(isinstance(key, str) for key in keys):
            raise ValueError("keys and values for something that is no dict of text")
        self.stack[-1].update(zip(keys, values, strict=True))

    def _do_global(self, argument):
        self._named(argument.replace(" ", ".", 1))

    def _do_stack_global(self, _):
        module, name = self._popped(2)
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("a global without a name")
        self._named(f"{module}.{name}")

    def _named(self, text):
        if text not in self.names:
            raise WeightsError(
                f"The pickle asks for the global `{short(text)}`, which no weight file needs: it is not "
                f"read, nor was anything in it run. Allowed: {', '.join(self.names)}"
            )
        self.stack.append(self.names[text])

    def _do_reduce(self, _):
        name, arguments = self._popped(2)
        # To copy a long tuple at every call could take for ever.
        if isinstance(arguments, tuple) and len(arguments) > _MAX_ARGUMENTS:
            raise ValueError(f"a call with {len(arguments)} arguments")
        if not isinstance(name, Name) or name.construct is None or not isinstance(arguments, tuple):
            called = f"`{name.text}`" if isinstance(name, Name) else f"an object of {type(name).__name__}"
            raise WeightsError(f"The pickle calls {called}, which no weight file needs.")
        self.stack.append(name.construct(*arguments))

    def _do_build(self, _):
        (state,) = self._popped(1)
        target = self.stack[-1]
        if isinstance(target, dict):  # attributes of an OrderedDict, such as torch's `_metadata`
            return
        if not hasattr(target, "set_state"):
            raise WeightsError(
                f"The pickle sets the state of a {type(target).__name__}, which no weight file needs."
            )
        target.set_state(state)

    def _do_binpersid(self, _):
        if self.persistent is None:
            raise WeightsError("The pickle points to data outside of itself, which its format does not have.")
        self.stack.append(self.persistent(*self._popped(1)))
