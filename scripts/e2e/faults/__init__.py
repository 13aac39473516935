"""Real faults, made in namespaces of the test's own: the network's, Azure's, Entra's, the kernel's and the process's."""
