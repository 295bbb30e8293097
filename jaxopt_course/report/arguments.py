"""Which columns of a row are arguments of its optimizer, for the Python to copy.

This room imports no optimizer, so they stand here; a test holds them against the recipes.
"""

ARGUMENTS = {  # masks, dtypes and functions are no columns
    "sgd": "learning_rate momentum nesterov",
    "momentum": "learning_rate momentum",
    "ema_momentum": "learning_rate decay",
    "nesterov": "learning_rate momentum",
    "adagrad": "learning_rate initial_accumulator_value eps",
    "rmsprop": (
        "learning_rate decay eps initial_scale eps_in_sqrt centered momentum nesterov "
        "bias_correction"
    ),
    "adadelta": "learning_rate rho eps weight_decay",
    "adam": "learning_rate b1 b2 eps eps_root nesterov",
    "adamw": "learning_rate b1 b2 eps eps_root weight_decay nesterov",
    "adamax": "learning_rate b1 b2 eps",
    "amsgrad": "learning_rate b1 b2 eps eps_root bias_correction_mu bias_correction_nu",
    "nadam": "learning_rate b1 b2 eps eps_root nesterov",
    "radam": "learning_rate b1 b2 eps eps_root threshold nesterov",
    "lion": "learning_rate b1 b2 weight_decay",
    "ademamix": "learning_rate b1 b2 b3 alpha eps eps_root weight_decay b3_warmup alpha_warmup",
    "muon": (
        "learning_rate ns_steps beta eps weight_decay nesterov adaptive preconditioning "
        "adam_b1 adam_b2 adam_eps_root adam_weight_decay adam_learning_rate consistent_rms"
    ),
    "nadamw": "learning_rate b1 b2 eps eps_root weight_decay nesterov",
    "signum": "learning_rate beta",
    "adabelief": "learning_rate b1 b2 eps eps_root nesterov",
    "adan": "learning_rate b1 b2 b3 eps eps_root weight_decay",
    "adopt": "learning_rate b1 b2 eps nesterov use_clipping",
    "lamb": "learning_rate b1 b2 eps eps_root weight_decay",
    "lars": "learning_rate weight_decay trust_coefficient eps momentum nesterov",
    "adafactor": (
        "learning_rate min_dim_size_to_factor decay_rate decay_offset "
        "multiply_by_parameter_scale clipping_threshold momentum weight_decay_rate eps "
        "factored"
    ),
    "prodigy": "learning_rate b1 b2 b3 eps estim_lr0 estim_lr_coef weight_decay safeguard_warmup",
    "schedule_free_adamw": "learning_rate warmup_steps b1 b2 eps weight_decay weight_lr_power",
    "schedule_free_sgd": "learning_rate warmup_steps b1 weight_decay weight_lr_power",
    "soap": "learning_rate b1 b2 b3 eps weight_decay precondition_frequency max_precondition_dim",
    "keras.sgd": "learning_rate momentum nesterov weight_decay clipnorm clipvalue global_clipnorm",
    "keras.momentum": "learning_rate momentum weight_decay clipnorm clipvalue global_clipnorm",
    "keras.nesterov": "learning_rate momentum weight_decay clipnorm clipvalue global_clipnorm",
    "keras.adagrad": (
        "learning_rate initial_accumulator_value eps weight_decay clipnorm clipvalue "
        "global_clipnorm"
    ),
    "keras.rmsprop": (
        "learning_rate decay eps centered momentum weight_decay clipnorm clipvalue global_clipnorm"
    ),
    "keras.adadelta": "learning_rate rho eps weight_decay clipnorm clipvalue global_clipnorm",
    "keras.adam": "learning_rate b1 b2 eps weight_decay clipnorm clipvalue global_clipnorm amsgrad",
    "keras.adamw": (
        "learning_rate b1 b2 eps weight_decay clipnorm clipvalue global_clipnorm amsgrad"
    ),
    "keras.adamax": "learning_rate b1 b2 eps weight_decay clipnorm clipvalue global_clipnorm",
    "keras.amsgrad": "learning_rate b1 b2 eps weight_decay clipnorm clipvalue global_clipnorm",
    "keras.nadam": "learning_rate b1 b2 eps weight_decay clipnorm clipvalue global_clipnorm",
    "keras.lion": "learning_rate b1 b2 weight_decay clipnorm clipvalue global_clipnorm",
    "keras.muon": (
        "learning_rate ns_steps beta eps weight_decay clipnorm clipvalue global_clipnorm "
        "nesterov adam_b1 adam_b2 adam_weight_decay adam_lr_ratio consistent_rms "
        "exclude_embeddings"
    ),
    "keras.nadamw": "learning_rate b1 b2 eps weight_decay clipnorm clipvalue global_clipnorm",
    "keras.lamb": "learning_rate b1 b2 eps weight_decay clipnorm clipvalue global_clipnorm",
    "keras.adafactor": (
        "learning_rate decay_rate eps eps2 clipping_threshold weight_decay clipnorm clipvalue "
        "global_clipnorm"
    ),
    "keras.schedule_free_adamw": (
        "learning_rate b1 b2 eps warmup_steps weight_decay clipnorm clipvalue global_clipnorm"
    ),
    "torch.sgd": "learning_rate momentum nesterov dampening weight_decay maximize",
    "torch.momentum": "learning_rate momentum dampening weight_decay maximize",
    "torch.nesterov": "learning_rate momentum weight_decay maximize",
    "torch.adagrad": (
        "learning_rate initial_accumulator_value eps learning_rate_decay weight_decay maximize"
    ),
    "torch.rmsprop": "learning_rate decay eps centered momentum weight_decay maximize",
    "torch.adadelta": "learning_rate rho eps weight_decay maximize",
    "torch.adam": "learning_rate b1 b2 eps weight_decay maximize decoupled_weight_decay amsgrad",
    "torch.adamw": "learning_rate b1 b2 eps weight_decay maximize amsgrad",
    "torch.adamax": "learning_rate b1 b2 eps weight_decay maximize",
    "torch.amsgrad": "learning_rate b1 b2 eps weight_decay maximize decoupled_weight_decay",
    "torch.nadam": (
        "learning_rate b1 b2 eps momentum_decay weight_decay maximize decoupled_weight_decay"
    ),
    "torch.radam": "learning_rate b1 b2 eps weight_decay maximize decoupled_weight_decay",
    "torch.muon": (
        "learning_rate ns_steps beta eps weight_decay nesterov consistent_rms adam_b1 adam_b2 "
        "adam_eps adam_weight_decay adam_learning_rate ns_dtype"
    ),
    "torch.nadamw": "learning_rate b1 b2 eps momentum_decay weight_decay maximize",
    "torch.adafactor": "learning_rate decay_rate eps eps2 clipping_threshold weight_decay maximize",
    "paper.sgd": "learning_rate",
    "paper.momentum": "learning_rate momentum",
    "paper.nesterov": "learning_rate momentum",
    "paper.adagrad": "learning_rate eps",
    "paper.rmsprop": "learning_rate decay eps",
    "paper.adadelta": "learning_rate rho eps",
    "paper.adam": "learning_rate b1 b2 eps",
    "paper.adamw": "learning_rate b1 b2 eps weight_decay multiplier",
    "paper.adamax": "learning_rate b1 b2 eps",
    "paper.amsgrad": "learning_rate b1 b2 eps",
    "paper.nadam": "learning_rate b1 b2 eps momentum_decay",
    "paper.radam": "learning_rate b1 b2 eps threshold",
    "paper.lion": "learning_rate b1 b2 weight_decay",
    "paper.muon": (
        "learning_rate ns_steps beta eps weight_decay nesterov adam_b1 adam_b2 adam_eps "
        "adam_learning_rate adam_weight_decay"
    ),
    "paper.signum": "learning_rate beta",
    "paper.adabelief": "learning_rate b1 b2 eps",
    "paper.adopt": "learning_rate b1 b2 eps",
    "paper.lamb": "learning_rate b1 b2 eps weight_decay",
    "paper.adafactor": "learning_rate decay_rate eps eps2 clipping_threshold",
    "paper.ademamix": "learning_rate b1 b2 b3 eps weight_decay alpha b3_warmup alpha_warmup",
    "paper.prodigy": (
        "learning_rate b1 b2 b3 eps estim_lr0 estim_lr_coef weight_decay safeguard_warmup"
    ),
    "paper.schedule_free_adamw": (
        "learning_rate b1 b2 eps weight_decay warmup_steps r weight_lr_power"
    ),
    "paper.schedule_free_sgd": "learning_rate momentum weight_decay warmup_steps r weight_lr_power",
    "paper.soap": "learning_rate b1 b2 b3 eps precondition_frequency",
}


def taken(optimizer: str) -> frozenset[str]:
    """The arguments of ``adam``, ``keras.adam`` or ``adam+ema``; none of an unknown name.

    >>> sorted(taken("momentum"))
    ['learning_rate', 'momentum']
    """
    return frozenset(ARGUMENTS.get(optimizer.removesuffix("+ema"), "").split())
