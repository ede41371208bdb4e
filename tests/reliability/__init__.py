"""How often verdicts are right: planted mistakes, random networks, mutants, hostile files, hours of soaking."""
