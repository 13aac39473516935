"""Real faults, made in namespaces of the test's own: of the network, of Azure, of Entra, of the process."""
