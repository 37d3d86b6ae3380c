"""Derivation to outputs.

* :mod:`builder.realise`      the door: wishes for store paths made true
* :mod:`builder.plan`         what has to be built and fetched for them, :mod:`builder.substituters` what others offer
* :mod:`builder.scheduler`    does it, as much at once as may be; :mod:`builder.making` is one build of it
* :mod:`builder.prepare`      from a derivation to a :mod:`builder.request`, which says everything
* :mod:`builder.service`      what builds requests and answers with :mod:`builder.events`
* :mod:`builder.oci`          such a service: containers on this machine
* :mod:`builder.remote`       such a service elsewhere
* :mod:`builder.outputs`      what a build made becomes store paths
* :mod:`builder.fetch`        what is elsewhere comes into the store
* :mod:`builder.progress`     what is told of all this, :mod:`builder.views` how it is shown

Nothing here knows the language.
"""
