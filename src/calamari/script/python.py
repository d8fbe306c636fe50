# What scripts can call. The values follow below; this file is gone before the script starts.
import base64
import json
import os
import runpy
import sys

os.remove(__file__)
# Modules of the step leave nothing in its folder.
sys.dont_write_bytecode = True


class _OctopusVariables(dict):
    """Values by name; a name in another case is found as well."""

    def __missing__(self, key):
        folded = key.upper()
        for name in self:
            if name.upper() == folded:
                return self[name]
        raise KeyError(key)


octopusvariables = _OctopusVariables(json.loads(base64.b64decode("@VALUES@").decode("utf-8")))
_octopus_circles = json.loads(base64.b64decode("@CIRCLES@").decode("utf-8"))


def get_octopusvariable(key):
    if key in _octopus_circles:
        raise RecursionError(_octopus_circles[key])
    return octopusvariables[key]


def encode(value):
    return base64.b64encode(str(value).encode("utf-8")).decode("ascii")


def decode(value):
    return base64.b64decode(value).decode("utf-8")


def _message(kind, /, **attributes):
    text = "".join(" %s='%s'" % (key, encode(value)) for key, value in attributes.items() if value is not None)
    print("##octopus[%s%s]" % (kind, text))


def _line(mode, message):
    print("##octopus[stdout-%s]" % mode)
    print(message)
    print("##octopus[stdout-default]")


def set_octopusvariable(name, value, sensitive=False):
    octopusvariables[name] = str(value)
    _message("setVariable", name=name, value=value, sensitive="True" if sensitive else None)


def createartifact(path, fileName=None):
    full = os.path.abspath(path)
    name = fileName if fileName is not None else os.path.basename(path)
    length = os.stat(full).st_size if os.path.isfile(full) else 0
    _line("verbose", "Artifact %s will be collected from %s after this step completes" % (name, full))
    _message("createArtifact", path=full, name=name, length=length)


def updateprogress(progress, message=None):
    _message("progress", percentage=progress, message=message)


def failstep(message=None):
    if message is not None:
        _message("resultMessage", message=message)
    sys.exit(-1)


def printverbose(message):
    _line("verbose", message)


def printhighlight(message):
    _line("highlight", message)


def printwait(message):
    _line("wait", message)


def printwarning(message):
    _line("warning", message)


if octopusvariables.get("Octopus.Action.Script.SuppressEnvironmentLogging") != "True":
    _line("verbose", "Python %s" % sys.version.replace("\n", " "))

_script = base64.b64decode("@SCRIPT@").decode("utf-8")
sys.argv[0] = _script
sys.path.insert(0, os.path.dirname(_script))
runpy.run_path(
    _script,
    {
        "octopusvariables": octopusvariables,
        "get_octopusvariable": get_octopusvariable,
        "set_octopusvariable": set_octopusvariable,
        "createartifact": createartifact,
        "updateprogress": updateprogress,
        "failstep": failstep,
        "printverbose": printverbose,
        "printhighlight": printhighlight,
        "printwait": printwait,
        "printwarning": printwarning,
        "encode": encode,
        "decode": decode,
    },
    "__main__",
)
