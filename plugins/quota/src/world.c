// `cargo xtask plugins` tells the component its world, so nothing has to be linked in for that.
void __component_type_object_force_link_quota(void) {}
