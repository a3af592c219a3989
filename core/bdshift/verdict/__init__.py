"""What the evidence of an audit says beside that of models that are known to be clean.

Rules (`bdshift.detect.rule`) compare the classes of one model. This compares models: each kind of
evidence is measured by what it does on clean ones, and no backdoored model is needed for that, so
nothing is fitted to known attacks.
"""
