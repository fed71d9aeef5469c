/* Texts that are built into the program: prompts, playbooks, the demo. Any thread. */
#pragma once

/* The built-in copy of a prompt or playbook, by the last part of the path; NULL: none. */
const char *builtin_file(const char *path);

/* A file of the demo by its name ("deploy.sh", "signoff.yaml"); NULL: none. */
const char *demo_file(const char *name);
